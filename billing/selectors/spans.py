"""A range of whole days, and the steps its charts go in. Everything in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from common import clock

EARLIEST = date(2000, 1, 1)
MAX_DAYS = 3_660
USUAL_DAYS = 30
# Charts of more days than these go by weeks, then by months.
_DAILY = 62
_WEEKLY = 366
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


class Step(StrEnum):
    """What one point of a chart stands for; the words are PostgreSQL's."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


# From the first day of one to some day of the next.
_LENGTHS = {Step.DAY: 1, Step.WEEK: 7, Step.MONTH: 31}


@dataclass(frozen=True, slots=True)
class Span:
    """From the first moment of one day to the last of another, both included."""

    first: date
    last: date

    @classmethod
    def usual(cls, days: int = USUAL_DAYS) -> Span:
        """The last so many days, today included."""
        today = clock.now().date()
        return cls(today - (days - 1) * _DAY, today)

    @property
    def since(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + _DAY, time(), UTC)

    @property
    def over_at(self) -> datetime:
        """The first moment after what has happened of it: what is to come does not count."""
        return min(self.until, clock.now() + _TICK)

    @property
    def day_count(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    @property
    def step(self) -> Step:
        """What a chart of it goes by."""
        if self.day_count <= _DAILY:
            return Step.DAY
        return Step.WEEK if self.day_count <= _WEEKLY else Step.MONTH

    def steps(self) -> Iterator[date]:
        """The first day of each step, the first of which may lie before the range."""
        start = self._start_of(self.first)
        while start <= self.last:
            yield start
            start = self._start_of(start + _LENGTHS[self.step] * _DAY)

    def _start_of(self, day: date) -> date:
        match self.step:
            case Step.DAY:
                return day
            case Step.WEEK:
                return day - day.weekday() * _DAY
            case Step.MONTH:
                return day.replace(day=1)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


def why_not(first: date | None, last: date | None) -> dict[str, str]:
    """What is wrong with a range somebody asked for, by ``from`` and ``to``; empty: nothing."""
    today = clock.now().date()
    wrong = {}
    for name, day in (("from", first), ("to", last)):
        if day is not None and not EARLIEST <= day <= today:
            wrong[name] = f"Choose a day from {EARLIEST} to {today}, which is today in UTC."
    if wrong:
        return wrong
    span = of_days(first, last)
    if span.first > span.last:
        return {"to": "This is before the first day."}
    if span.day_count > MAX_DAYS:
        return {"from": f"At most {MAX_DAYS:,} days at a time."}
    return {}


def of_days(first: date | None, last: date | None) -> Span:
    """The range of these days; where one is left out, the usual length up to the other or today."""
    last_day = last or clock.now().date()
    return Span(first or max(EARLIEST, last_day - (USUAL_DAYS - 1) * _DAY), last_day)
