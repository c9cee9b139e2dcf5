"""The sandbox's clock: the real time and an offset, which others can read from a file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from sandbox.config import Config
from sandbox.store import Json, Tx
from sandbox.stripe import due
from sandbox.stripe.context import sandbox_now

OFFSET = "clock_offset_seconds"


def offset(tx: Tx) -> float:
    """By how many seconds the sandbox's time is ahead of the real one."""
    return float(tx.setting(OFFSET) or 0)


def show(tx: Tx) -> Json:
    """The time and the offset in force."""
    return {"now": int(sandbox_now(tx)), "offset_seconds": offset(tx)}


def advance(tx: Tx, config: Config, seconds: int) -> Json:
    """Move the time on; what falls due on the way is done in order, each thing at its moment."""
    due.run(tx, config, sandbox_now(tx) + seconds)
    tx.set_setting(OFFSET, offset(tx) + seconds)
    publish(tx, config)
    return show(tx)


def publish(tx: Tx, config: Config) -> None:
    """Write the offset to the file ``SANDBOX_CLOCK`` in one piece: readers see the old or the new.

    It is written before the commit, so that whoever hears of what was done knows the time by then.
    """
    file = config.clock_file
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "w") as written:
            written.write(f"{offset(tx)}\n")
        Path(partial).replace(file)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(partial).unlink()
        raise
