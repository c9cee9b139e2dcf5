"""The one clock."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest

from common import clock

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


def test_it_is_aware_and_close_to_the_wall_time() -> None:
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert clock.now().utcoffset() == timedelta(0)


def test_a_frozen_clock_stands_still_until_moved() -> None:
    with clock.frozen(NOON) as hands:
        assert clock.now() == clock.now() == NOON

        hands.move(timedelta(days=1))

        assert clock.now() == NOON + timedelta(days=1)
    assert clock.now() != NOON + timedelta(days=1)


def test_it_is_frozen_in_other_threads_too() -> None:
    seen: list[datetime] = []
    with clock.frozen(NOON):
        thread = threading.Thread(target=lambda: seen.append(clock.now()))
        thread.start()
        thread.join()

    assert seen == [NOON]


def test_freezing_brings_any_zone_to_utc() -> None:
    with clock.frozen(NOON.astimezone(timezone(timedelta(hours=5)))):
        assert clock.now().isoformat() == "2030-01-02T12:00:00+00:00"


def test_freezing_refuses_a_naive_moment() -> None:
    with pytest.raises(ValueError, match="aware"), clock.frozen(datetime(2030, 1, 1)):  # noqa: DTZ001
        pass


def test_a_freeze_within_a_freeze_ends_at_the_outer_one() -> None:
    with clock.frozen(NOON):
        with pytest.raises(RuntimeError), clock.frozen(NOON + timedelta(days=1)):
            raise RuntimeError

        assert clock.now() == NOON


def test_travel_adds_up_and_comes_back() -> None:
    day = timedelta(days=1)
    with clock.travel(day), clock.travel(day):
        assert timedelta(days=2) <= clock.now() - datetime.now(UTC) + timedelta(seconds=1)
    assert clock.now() - datetime.now(UTC) < timedelta(seconds=1)


def test_a_followed_offset_is_asked_every_time() -> None:
    offset = timedelta(days=30)
    clock.follow(lambda: offset)
    try:
        assert clock.now() - datetime.now(UTC) > timedelta(days=29)
        offset = timedelta(0)
        assert clock.now() - datetime.now(UTC) < timedelta(days=1)
    finally:
        clock.follow(clock.no_offset)
