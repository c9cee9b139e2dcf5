"""Beat rings by the portal's clock, which jumps."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.conf import settings
from django_celery_beat.models import PeriodicTask

from billing_project import moving
from billing_project.beat import MOVING_SECONDS, SingleScheduler
from billing_project.celery import app
from common import clock
from tests import live
from tests.house.test_sandbox_clock import write

NOON = datetime(2031, 3, 10, 12, 0, 30, tzinfo=UTC)
TASKS = sorted(settings.CELERY_BEAT_SCHEDULE)


class Beat(SingleScheduler):
    """Notes what it would send."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        super().__init__(app=app)
        self._finalize.cancel()  # it would write at the end of this process

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.rung.append(entry.name)

    def _jump(self) -> timedelta:
        """The hands of these tests jump all the time: none is waited for."""
        return min(super()._jump(), timedelta(0))

    def run(self) -> list[str]:
        """Tick until it wants to rest; what of ours was rung meanwhile."""
        self.rung.clear()
        for _ in range(1000):
            if self.tick():
                return sorted(name for name in self.rung if name in TASKS)
        raise AssertionError("it never rests")


@pytest.fixture
def beat(transactional_db: None) -> Iterator[tuple[Beat, clock.FrozenClock]]:
    """A beat that has rung everything at noon."""
    with clock.frozen(NOON) as hands:
        PeriodicTask.objects.update(last_run_at=NOON)
        scheduler = Beat()
        hands.move(timedelta(days=31))
        scheduler.run()
        scheduler.sync()
        yield scheduler, hands
        scheduler._lock_connection.close()


def test_nothing_is_rung_while_time_stands_still(beat: tuple[Beat, clock.FrozenClock]) -> None:
    scheduler, _ = beat

    assert scheduler.run() == []


def test_each_task_is_rung_when_it_is_due(beat: tuple[Beat, clock.FrozenClock]) -> None:
    scheduler, hands = beat
    each_minute = sorted(
        name
        for name, entry in settings.CELERY_BEAT_SCHEDULE.items()
        if entry["schedule"] == timedelta(minutes=1)
    )

    hands.move(timedelta(seconds=59))
    assert scheduler.run() == []
    hands.move(timedelta(seconds=2))
    assert scheduler.run() == each_minute
    hands.move(timedelta(hours=20))
    assert scheduler.run() == TASKS


@pytest.mark.parametrize("days", [1, 31, 366, 3650])
def test_a_jump_ahead_rings_everything_once(
    beat: tuple[Beat, clock.FrozenClock], days: int
) -> None:
    scheduler, hands = beat

    hands.move(timedelta(days=days))

    assert scheduler.run() == TASKS
    assert scheduler.run() == []


@pytest.mark.parametrize("days", [1, 31, 3650])
def test_time_put_back_stalls_nothing(beat: tuple[Beat, clock.FrozenClock], days: int) -> None:
    scheduler, hands = beat
    hands.move(timedelta(days=days))
    scheduler.run()

    hands.move(timedelta(days=-days - 31))

    assert scheduler.run() == TASKS
    assert scheduler.run() == []
    hands.move(timedelta(days=1))
    assert scheduler.run() == TASKS


def test_a_beat_started_after_time_was_put_back_rings_too(
    beat: tuple[Beat, clock.FrozenClock],
) -> None:
    scheduler, hands = beat
    scheduler._lock_connection.close()
    hands.move(timedelta(days=-400))
    while not (later := Beat())._holds_the_lock():
        later._lock_connection.close()

    try:
        assert later.run() == TASKS
        later.sync()
        assert later.run() == []
        latest = PeriodicTask.objects.filter(name__in=TASKS).values_list("last_run_at", flat=True)
        assert set(latest) == {clock.now()}
    finally:
        later._lock_connection.close()


def test_it_waits_while_somebody_moves_the_time_and_for_a_while_after_a_jump(
    beat: tuple[Beat, clock.FrozenClock],
) -> None:
    scheduler, hands = beat

    hands.move(timedelta(days=1))
    with moving.moving():
        assert scheduler.tick() == MOVING_SECONDS
        with pytest.raises(moving.AlreadyMoving), moving.moving():
            pass
    assert scheduler.run() == TASKS

    hands.move(timedelta(days=1))
    assert SingleScheduler._jump(scheduler) > timedelta(hours=23)
    assert SingleScheduler._jump(scheduler) < timedelta(seconds=1)


def test_tasks_that_try_again_wait_by_the_walls_clock() -> None:
    with clock.frozen(NOON):
        assert abs(app.now() - datetime.now(UTC)) < timedelta(seconds=1)


def test_a_running_beat_notices_a_jump_and_a_reset_within_seconds() -> None:
    with live.Portal(processes=("beat",)) as portal:
        queue = redis.Redis.from_url(portal.redis_url)
        expected = {settings.CELERY_BEAT_SCHEDULE[name]["task"] for name in TASKS}

        for offset in ("2678400", "5356800.25", "0"):
            queue.delete("celery")
            write(portal.clock_file, offset)

            until(
                lambda: expected <= set(_rung(queue)),
                lambda: (_rung(queue), portal.log("beat")[-6000:]),
            )
            assert max(_rung(queue)[task] for task in expected) == 1


def until(
    happened: Callable[[], bool], explain: Callable[[], object], *, seconds: float = 20
) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


def _rung(queue: redis.Redis) -> Counter[str]:
    """How often each task waits in the queue."""
    messages: list[bytes] = queue.lrange("celery", 0, -1)  # type: ignore[assignment]
    names = [json.loads(message)["headers"]["task"] for message in messages]
    return Counter(names)
