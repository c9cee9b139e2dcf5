"""Periods counted from the anchor: they tile time, in every zone, without gap or overlap."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.intervals import month_at, number_at, start_of
from billing.plans import Interval

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Lord_Howe",  # its summer time is half an hour
    "Pacific/Apia",  # left a whole day out in 2011
    "Pacific/Chatham",
]
BERLIN = ZoneInfo("Europe/Berlin")
MONTHS_OF = {Interval.MONTH: 1, Interval.YEAR: 12}

zones = st.sampled_from(ZONES).map(ZoneInfo)
intervals = st.sampled_from([Interval.DAYS_30, Interval.MONTH, Interval.YEAR])
moments = st.datetimes(datetime(2010, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def anchors(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """Moments on the 28th to 31st of a month somewhere."""
    zone = draw(zones)
    year, month = draw(st.integers(2010, 2040)), draw(st.integers(1, 12))
    day = min(draw(st.integers(28, 31)), calendar.monthrange(year, month)[1])
    clock = draw(st.times())
    local = datetime.combine(datetime(year, month, day, tzinfo=UTC).date(), clock, zone)
    return local.astimezone(UTC), zone


@given(anchors(), intervals, st.integers(-40, 400))
def test_periods_tile_time(anchor: tuple[datetime, ZoneInfo], interval: str, number: int) -> None:
    anchor_at, zone = anchor
    starts_at = start_of(anchor_at, interval, number, zone)
    ends_at = start_of(anchor_at, interval, number + 1, zone)

    assert starts_at < ends_at
    assert number_at(anchor_at, interval, starts_at, zone) == number
    assert number_at(anchor_at, interval, ends_at - timedelta(microseconds=1), zone) == number
    assert number_at(anchor_at, interval, ends_at, zone) == number + 1


@given(anchors(), intervals, moments)
def test_every_moment_is_in_exactly_one_period(
    anchor: tuple[datetime, ZoneInfo], interval: str, at: datetime
) -> None:
    anchor_at, zone = anchor

    number = number_at(anchor_at, interval, at, zone)

    starts_at = start_of(anchor_at, interval, number, zone)
    assert starts_at <= at < start_of(anchor_at, interval, number + 1, zone)


@given(anchors(), st.sampled_from(list(MONTHS_OF)), st.integers(-20, 200))
def test_the_day_is_the_anchors_or_the_last_of_its_month(
    anchor: tuple[datetime, ZoneInfo], interval: Interval, number: int
) -> None:
    anchor_at, zone = anchor
    first = anchor_at.astimezone(zone)
    months = first.year * 12 + first.month - 1 + number * MONTHS_OF[interval]
    year, month = months // 12, months % 12 + 1

    local = start_of(anchor_at, interval, number, zone).astimezone(zone)

    day = min(first.day, calendar.monthrange(year, month)[1])
    wanted = datetime.combine(datetime(year, month, day, tzinfo=UTC).date(), first.time(), zone)
    # A wall time that a change of clocks leaves out is the moment it would have been before.
    assert local == wanted.replace(fold=first.fold).astimezone(UTC)


@given(anchors())
def test_the_first_period_begins_at_the_anchor(anchor: tuple[datetime, ZoneInfo]) -> None:
    anchor_at, zone = anchor

    assert {start_of(anchor_at, one, 0, zone) for one in Interval} == {anchor_at}


@given(anchors(), moments)
def test_a_month_of_limits_holds_the_moment(
    anchor: tuple[datetime, ZoneInfo], at: datetime
) -> None:
    starts_at, ends_at = month_at(anchor[0], at, anchor[1])

    assert starts_at <= at < ends_at
    assert timedelta(days=27) < ends_at - starts_at < timedelta(days=33)


def test_the_31st_comes_back_after_february() -> None:
    anchor_at = datetime(2027, 1, 31, 9, tzinfo=UTC)

    days = [start_of(anchor_at, "month", n, ZoneInfo("UTC")).date().isoformat() for n in range(5)]

    assert days == ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


def test_the_29th_of_february_is_the_28th_in_other_years() -> None:
    anchor_at = datetime(2028, 2, 29, 9, tzinfo=UTC)

    days = [start_of(anchor_at, "year", n, ZoneInfo("UTC")).date().isoformat() for n in (1, 3, 4)]

    assert days == ["2029-02-28", "2031-02-28", "2032-02-29"]


@pytest.mark.parametrize(
    ("month", "hour_utc"),
    [(2, 11), (3, 11), (4, 10), (10, 10), (11, 11)],
)
def test_the_wall_time_stays_when_clocks_change(month: int, hour_utc: int) -> None:
    anchor_at = datetime(2027, 1, 5, 12, tzinfo=BERLIN)

    starts_at = start_of(anchor_at, "month", month - 1, BERLIN)

    assert (starts_at.month, starts_at.day, starts_at.hour) == (month, 5, hour_utc)


def test_thirty_days_are_thirty_days_whatever_clocks_do() -> None:
    anchor_at = datetime(2027, 3, 20, 12, tzinfo=BERLIN)

    starts_at = start_of(anchor_at, "30d", 1, BERLIN)

    assert starts_at - anchor_at.astimezone(UTC) == timedelta(days=30)
    assert number_at(anchor_at, "30d", starts_at.astimezone(BERLIN), BERLIN) == 1


def test_a_wall_time_that_is_left_out_moves_on() -> None:
    anchor_at = datetime(2027, 2, 28, 2, 30, tzinfo=BERLIN)

    starts_at = start_of(anchor_at, "month", 1, BERLIN).astimezone(BERLIN)

    assert (starts_at.day, starts_at.hour, starts_at.minute) == (28, 3, 30)
