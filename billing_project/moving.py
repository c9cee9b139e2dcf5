"""Whether somebody is moving the time: one may at once, and the schedule waits until it is done.

A jump makes everything due at once and sends webhooks for all of it. Whoever moves the time waits
for those first and then runs what is due; beat beside it would judge by what is still on its way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError, connection

LOCK_KEY = 0x74696D65  # "time"


class AlreadyMoving(Exception):
    """Somebody else moves the time just now."""


@contextmanager
def moving() -> Iterator[None]:
    """Move the time within the block, nobody else; let go even by dying. Raises AlreadyMoving."""
    own: Any = connection.copy()
    try:
        if not _ask(own, "SELECT pg_try_advisory_lock(%s)"):
            raise AlreadyMoving("The time is being moved just now, by a demo month perhaps.")
        try:
            yield
        finally:
            with suppress(DatabaseError):  # closing would do, a moment later
                _ask(own, "SELECT pg_advisory_unlock(%s)")
    finally:
        own.close()


def is_moving(looking: Any) -> bool:
    """Whether somebody moves it, asked on that connection (not in a transaction)."""
    return not _ask(looking, "SELECT pg_try_advisory_xact_lock_shared(%s)")


def _ask(asking: Any, question: str) -> bool:
    with asking.cursor() as cursor:
        cursor.execute(question, [LOCK_KEY])
        (answer,) = cursor.fetchone()
    return bool(answer)
