"""The schedule's clock: any number of beats may run, one of them rings.

It goes by the portal's clock, which jumps in the sandbox: whatever became due in between is rung
once, and a schedule that was last followed in what is now the future is followed from now on.
Celery's own clock (``app.now``) stays the wall's: it counts the waits of tasks that try again.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from celery import schedules
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from billing_project import moving
from billing_project.operations import liveness
from billing_project.operations.watchman import Watchman
from common import clock

logger = logging.getLogger(__name__)

LOCK_KEY = 0x62656174  # "beat"
RETRY_SECONDS = 5.0
# Clocks of two machines differ a little; only beyond this was time put back.
PUT_BACK = timedelta(minutes=1)
# After a jump ahead, what happened on the way is told first; then the schedule judges by it.
AFTER_JUMP_SECONDS = 5.0
MOVING_SECONDS = 1.0


class PortalEntry(ModelEntry):  # type: ignore[misc]
    """One scheduled task, due by the portal's clock."""

    def __init__(self, model: Any, app: Any = None) -> None:
        super().__init__(model, app=app)
        self.schedule.nowfun = clock.now

    def default_now(self) -> datetime:
        """The portal's time, which is kept as the moment of the last run."""
        return clock.now()

    _default_now = default_now

    def is_due(self) -> schedules.schedstate:
        """Whether to ring now; always after time was put back to before the last run."""
        if self.model.enabled and self.last_run_at > clock.now() + PUT_BACK:
            _, next_time = self.schedule.is_due(clock.now())
            return schedules.schedstate(is_due=True, next=next_time)
        return super().is_due()  # type: ignore[no-any-return]


class SingleScheduler(DatabaseScheduler):  # type: ignore[misc]
    """Rings only while it holds an advisory lock, which PostgreSQL takes from the dead."""

    Entry = PortalEntry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A connection of its own: the shared one is closed whenever it is old.
        self._lock_connection = connection.copy()
        self._is_holder = False
        self._watchman = Watchman()
        self._last_tick = clock.now()
        self._last_real = time.monotonic()
        self._rests_until = 0.0
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Ring what is due and say when to come again; the one that waits just comes again."""
        if not self._holds_the_lock():
            liveness.touch("beat")
            return RETRY_SECONDS
        self._watchman.tick()
        jump = self._jump()
        if jump < -PUT_BACK:
            self._begin_again()
        elif jump > PUT_BACK:
            self._rests_until = time.monotonic() + AFTER_JUMP_SECONDS
        if self._is_moving() or time.monotonic() < self._rests_until:
            return MOVING_SECONDS
        return float(super().tick(*args, **kwargs))

    def _jump(self) -> timedelta:
        """By how much the portal's time went further than the wall's since the last look."""
        now, real = clock.now(), time.monotonic()
        jump = now - self._last_tick - timedelta(seconds=real - self._last_real)
        self._last_tick, self._last_real = now, real
        return jump

    def _is_moving(self) -> bool:
        try:
            return settings.SANDBOX and moving.is_moving(self._lock_connection)
        except DatabaseError:
            return True  # the lock is asked for again first, on a new connection

    def enabled_models_qs(self) -> QuerySet[Any]:
        """All of them: the usual choice leaves out what the wall's clock says is hours away."""
        return self.Model.objects.enabled()  # type: ignore[no-any-return]

    def _begin_again(self) -> None:
        """Look at every task anew: what is planned lies at moments that are far away now."""
        self.sync()
        self._schedule = self.all_as_schedule()
        self._heap = None

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
