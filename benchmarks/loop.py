"""The worker's side of a measurement: do one thing for as long as it is told to.

Imports nothing but the standard library: the competitor's environment runs it too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping

Act = Callable[[], int]
SetCommit = Callable[[str], None]


def serve(acts: Mapping[str, Act], set_commit: SetCommit) -> None:
    """Answer each line ``<act> <seconds> <on|off>`` with what was done in how many seconds.

    An act says how much it did; on or off is PostgreSQL's synchronous_commit.
    """
    print("ready", flush=True)
    for line in sys.stdin:
        name, seconds, commit = line.split()
        act = acts[name]
        set_commit(commit)
        act()
        done = 0
        start = time.perf_counter()
        while (elapsed := time.perf_counter() - start) < float(seconds):
            done += act()
        print(json.dumps({"done": done, "seconds": elapsed}), flush=True)
