"""The months of an anchor, counted on a calendar instead of by PostgreSQL."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


def period_start(anchor_at: datetime, zone: str, at: datetime) -> datetime:
    """When the anchor's month that holds ``at`` began, on the clocks of ``zone``."""
    anchor = anchor_at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    months = 0
    while month_start(anchor, months, zone) > at:
        months -= 1
    while month_start(anchor, months + 1, zone) <= at:
        months += 1
    return month_start(anchor, months, zone)


def month_start(anchor: datetime, months: int, zone: str) -> datetime:
    """The anchor's day and time, so many months on; the last day where a month is too short."""
    years, month0 = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + years, month0 + 1
    day = min(anchor.day, calendar.monthrange(year, month)[1])
    return _on_the_clock(anchor.replace(year=year, month=month, day=day), zone)


def _on_the_clock(local: datetime, zone: str) -> datetime:
    """A wall time as a moment. Twice shown: the second; skipped: as if clocks had not changed."""
    moment = local.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC)
    if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != local:
        moment = local.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    return moment
