"""Time passes quickly: the sandbox's clock is moved, and what falls due is done before it goes on.

In steps of at most a day, so that nothing is late by more than that. After each step the webhooks
are waited for, and the tasks of beat's schedule that have become due are run here: beat would ring
each only once for however long a jump.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from celery import current_app, schedules
from django.conf import settings

from billing.models import EventState, InboundEvent, Refund, RefundState, Subscription
from billing_project.sandbox_control import Sandbox
from common import clock

logger = logging.getLogger(__name__)

LONGEST_STEP = timedelta(days=1)
# How long webhooks and what they ask for may take. What fails goes on failing in the next step.
PATIENCE_SECONDS = 20.0
SWEEP_EVERY_SECONDS = 1.0
# Between what a moved clock says here and at the sandbox.
SAME_TIME = timedelta(seconds=5)
NOT_DONE = (EventState.NEW, EventState.FAILED)

OnStep = Callable[[datetime], None]


class ClockNotFollowed(Exception):
    """The sandbox's time moved and the portal's did not."""


class Timelapse:
    """Moves the time of one sandbox and of this portal with it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        current_app.loader.import_default_modules()  # otherwise there are no tasks yet
        self._tasks = [_Scheduled(entry) for entry in settings.CELERY_BEAT_SCHEDULE.values()]

    def move(self, to: datetime, *, on_step: OnStep | None = None) -> None:
        """Move on to that moment; ``on_step`` hears the time after each step.

        Raises SandboxError and ClockNotFollowed.
        """
        for seconds in _steps(to - clock.now()):
            there = self._sandbox.advance(seconds)
            if abs(clock.now() - there) > SAME_TIME:
                raise ClockNotFollowed(
                    f"The sandbox's time is {there:%Y-%m-%d %H:%M}, the portal's"
                    f" {clock.now():%Y-%m-%d %H:%M}. Both need the same SANDBOX_CLOCK"
                    f" (here {settings.SANDBOX_CLOCK})."
                )
            self.settle_down()
            for task in self._tasks:
                task.run_if_due()
            self.settle_down()
            if on_step is not None:
                on_step(clock.now())

    def settle_down(self) -> bool:
        """Wait until the webhooks are delivered and acted on; False when some keep failing."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        sweep_at = time.monotonic() + SWEEP_EVERY_SECONDS
        while not (self._sandbox.is_quiet(1) and not _unfinished()):
            if time.monotonic() > deadline:
                return False
            if time.monotonic() > sweep_at:
                run_task("billing.sweep")
                sweep_at = time.monotonic() + SWEEP_EVERY_SECONDS
            time.sleep(0.02)
        return True


class _Scheduled:
    """A task of the schedule, and when it was last run here."""

    def __init__(self, entry: dict[str, Any]) -> None:
        schedule: Any = schedules.maybe_schedule(copy.copy(entry["schedule"]))
        schedule.nowfun = clock.now
        self._schedule: schedules.BaseSchedule = schedule
        self._task = entry["task"]
        self._last = clock.now()

    def run_if_due(self) -> None:
        if self._schedule.remaining_estimate(self._last) <= timedelta(0):
            self._last = clock.now()
            run_task(self._task)


def run_task(name: str) -> None:
    """Run a task here and now. One that fails is logged and left to the next time, as by beat."""
    task = current_app.tasks[name]
    try:
        task()
    except Exception:
        logger.exception("task failed", extra={"task": name})


def _steps(span: timedelta) -> Iterator[int]:
    left = int(span.total_seconds())
    while left > 0:
        step = min(left, int(LONGEST_STEP.total_seconds()))
        yield step
        left -= step


def _unfinished() -> bool:
    """Whether anything waits that does not wait for a later moment by itself."""
    return (
        InboundEvent.objects.filter(state__in=NOT_DONE).exists()
        or Refund.objects.filter(state=RefundState.REQUESTED).exists()
        or Subscription.objects.filter(stop_requested_at__lte=clock.now()).exists()
    )
