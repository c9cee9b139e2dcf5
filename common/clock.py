"""The portal's only clock.

Business code asks ``clock.now()`` and nothing else, so that a sandbox can move time for a whole
deployment (``follow``) and a test can stop it or shift it (``frozen``, ``travel``).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Offset = Callable[[], timedelta]


def _no_offset() -> timedelta:
    return timedelta(0)


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands still until it is told to move."""

    at: datetime

    def move(self, delta: timedelta) -> None:
        """Move the hands by ``delta`` (backwards when negative)."""
        self.at += delta


# Module state, not a context variable: threads that a test starts must see the same time.
_offset: Offset = _no_offset
_frozen: FrozenClock | None = None


def now() -> datetime:
    """The current moment, aware and in UTC."""
    stopped = _frozen
    if stopped is not None:
        return stopped.at
    return datetime.now(UTC) + _offset()


def follow(offset: Offset) -> None:
    """From now on add what ``offset()`` returns to the wall time, in the whole process."""
    global _offset
    _offset = offset


@contextmanager
def frozen(at: datetime) -> Iterator[FrozenClock]:
    """Stop the clock at ``at`` (aware) for the length of the block, in every thread."""
    global _frozen
    if at.tzinfo is None:
        raise ValueError("clock.frozen() needs an aware datetime")
    before = _frozen
    _frozen = FrozenClock(at.astimezone(UTC))
    try:
        yield _frozen
    finally:
        _frozen = before


@contextmanager
def travel(delta: timedelta) -> Iterator[None]:
    """Let the clock run ``delta`` ahead of where it was for the length of the block."""
    global _offset
    if _frozen is not None:
        raise RuntimeError("a frozen clock is moved with its own move()")
    before = _offset
    _offset = lambda: before() + delta  # noqa: E731
    try:
        yield
    finally:
        _offset = before
