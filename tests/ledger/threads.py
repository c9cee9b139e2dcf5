"""Real threads, each with a connection of its own, started at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from common.errors import BillingError
from django.db import connection

Result = TypeVar("Result")

TIMEOUT_SECONDS = 60


def at_once(jobs: Sequence[Callable[[], Result]]) -> list[Result | BillingError]:
    """Run every job in its own thread; what each returned, or how it was refused.

    Anything else that goes wrong (a deadlock, a crash) is raised.
    """
    barrier = threading.Barrier(len(jobs))

    def run(job: Callable[[], Result]) -> Result | BillingError:
        try:
            connection.ensure_connection()
            barrier.wait(TIMEOUT_SECONDS)
            return job()
        except BillingError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs, timeout=TIMEOUT_SECONDS))


def shared(count: int, jobs: Sequence[Callable[[], Result]]) -> list[Result | BillingError]:
    """Run many jobs on ``count`` threads, each thread working through its share."""

    def refusable(job: Callable[[], Result]) -> Result | BillingError:
        try:
            return job()
        except BillingError as refusal:
            return refusal

    def worker(mine: Sequence[Callable[[], Result]]) -> Callable[[], list[Result | BillingError]]:
        return lambda: [refusable(job) for job in mine]

    found: list[Result | BillingError] = []
    for part in at_once([worker(jobs[first::count]) for first in range(count)]):
        assert isinstance(part, list)
        found += part
    return found
