"""The schedule's clock: any number of beats may run, one of them rings."""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError, connection
from django_celery_beat.schedulers import DatabaseScheduler

logger = logging.getLogger(__name__)

LOCK_KEY = 0x62656174  # "beat"
RETRY_SECONDS = 5.0


class SingleScheduler(DatabaseScheduler):  # type: ignore[misc]
    """Rings only while it holds an advisory lock, which PostgreSQL takes from the dead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A connection of its own: the shared one is closed whenever it is old.
        self._lock_connection = connection.copy()
        self._is_holder = False
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Ring what is due and say when to come again; the one that waits just comes again."""
        if not self._holds_the_lock():
            return RETRY_SECONDS
        return float(super().tick(*args, **kwargs))

    def close(self) -> None:
        """Let the next one ring at once."""
        super().close()
        self._lock_connection.close()

    def _holds_the_lock(self) -> bool:
        """Ask every time: a connection that was lost and made anew holds nothing."""
        try:
            with self._lock_connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])
                (answer,) = cursor.fetchone()
        except DatabaseError:
            logger.warning("beat lost its database connection", exc_info=True)
            self._lock_connection.close()
            answer = False
        if answer and not self._is_holder:
            logger.info("this beat rings")
        self._is_holder = answer
        return self._is_holder
