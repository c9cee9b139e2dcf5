"""Real threads, each with a connection of its own, started at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection

from common.errors import BillingError

Job = Callable[[], Any]

TIMEOUT_SECONDS = 60


def at_once(jobs: Sequence[Job]) -> list[Any]:
    """Run every job in its own thread; what each returned, or how it was refused.

    Anything else that goes wrong (a deadlock, a crash) is raised.
    """
    barrier = threading.Barrier(len(jobs))

    def run(job: Job) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(TIMEOUT_SECONDS)
            return _answer(job)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs, timeout=TIMEOUT_SECONDS))


def shared(count: int, jobs: Sequence[Job]) -> list[Any]:
    """Run many jobs on ``count`` threads at once, each working through its share."""

    def worker(mine: Sequence[Job]) -> Job:
        return lambda: [_answer(job) for job in mine]

    shares = at_once([worker(jobs[first::count]) for first in range(count)])
    return [answer for share in shares for answer in share]


def _answer(job: Job) -> Any:
    try:
        return job()
    except BillingError as refusal:
        return refusal
