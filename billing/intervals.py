"""When period n of a subscription begins: counted from the anchor, never from the period before."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from billing.plans import LENGTH_MONTHS, Interval

THIRTY_DAYS = timedelta(days=30)


def start_of(anchor_at: datetime, interval: str, number: int, zone: ZoneInfo) -> datetime:
    """The start of period ``number`` (0 begins at the anchor), in UTC.

    Months and years keep the anchor's wall time in ``zone`` and its day of the month, or the last
    day of a month that is too short: the 31st comes back after February.
    """
    if interval == Interval.DAYS_30:
        return anchor_at.astimezone(UTC) + number * THIRTY_DAYS
    return add_months(anchor_at, number * LENGTH_MONTHS[Interval(interval)], zone)


def add_months(anchor_at: datetime, months: int, zone: ZoneInfo) -> datetime:
    """The anchor some months on, in ``zone``; a wall time that a clock change skips moves on."""
    if months == 0:
        return anchor_at.astimezone(UTC)
    local = anchor_at.astimezone(zone)
    years, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, calendar.monthrange(years, month + 1)[1])
    return local.replace(year=years, month=month + 1, day=day).astimezone(UTC)


def number_at(anchor_at: datetime, interval: str, at: datetime, zone: ZoneInfo) -> int:
    """Which period holds ``at``: start of it <= at < start of the next. Negative before 0."""
    if interval == Interval.DAYS_30:
        return (at.astimezone(UTC) - anchor_at.astimezone(UTC)) // THIRTY_DAYS
    local, anchor = at.astimezone(zone), anchor_at.astimezone(zone)
    months = (local.year - anchor.year) * 12 + local.month - anchor.month
    guess = months // LENGTH_MONTHS[Interval(interval)]
    while start_of(anchor_at, interval, guess, zone) > at:
        guess -= 1
    while start_of(anchor_at, interval, guess + 1, zone) <= at:
        guess += 1
    return guess


def month_at(anchor_at: datetime, at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The month of the anchor that holds ``at``: the one that monthly limits count in."""
    number = number_at(anchor_at, Interval.MONTH, at, zone)
    return (
        start_of(anchor_at, Interval.MONTH, number, zone),
        start_of(anchor_at, Interval.MONTH, number + 1, zone),
    )
