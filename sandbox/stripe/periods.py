"""Billing periods: whole intervals counted from an anchor, in UTC."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime

from sandbox.store import Json

DAY_SECONDS = 24 * 3600
FIXED_SECONDS = {"day": DAY_SECONDS, "week": 7 * DAY_SECONDS}
MONTHS = {"month": 1, "year": 12}


def boundary(anchor: int, recurring: Json, count: int) -> int:
    """The moment ``count`` intervals after the anchor.

    Months are counted from the anchor's own day, cut to the month's length, so that 31 January is
    followed by 28 February and then by 31 March.
    """
    interval, every = recurring["interval"], recurring["interval_count"]
    if interval in FIXED_SECONDS:
        return int(anchor + count * every * FIXED_SECONDS[interval])
    return later(anchor, months=count * every * MONTHS[interval])


def later(moment: int, *, months: int) -> int:
    """The same day and time so many months on, or the last day of a month that is too short."""
    start = datetime.fromtimestamp(moment, UTC)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    day = min(start.day, monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def around(anchor: int, recurring: Json, moment: int) -> tuple[int, int]:
    """Start and end of the period that ``moment`` falls in; its end belongs to the next one."""
    span = boundary(anchor, recurring, 1) - anchor
    count = (moment - anchor) // span  # months differ in length: near, not exact
    while boundary(anchor, recurring, count) > moment:
        count -= 1
    while boundary(anchor, recurring, count + 1) <= moment:
        count += 1
    return boundary(anchor, recurring, count), boundary(anchor, recurring, count + 1)


def day_shown(moment: int) -> str:
    """A moment as Stripe writes it on invoices: ``10 Nov 2025``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%d %b %Y")
