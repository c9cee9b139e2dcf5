"""The portal's only clock.

Business code asks ``clock.now()`` and nothing else, so that a sandbox can move time for a whole
deployment (``follow``) and a test can stop it or shift it (``frozen``, ``travel``).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Offset = Callable[[], timedelta]


def no_offset() -> timedelta:
    """The wall time as it is."""
    return timedelta(0)


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands still until it is told to move."""

    at: datetime

    def move(self, delta: timedelta) -> None:
        """Move the hands by ``delta`` (backwards when negative)."""
        self.at += delta


@dataclass(slots=True)
class _State:
    """One for the process, not one per context: threads that a test starts see the same time."""

    offset: Offset = no_offset
    frozen: FrozenClock | None = None


_state = _State()


def now() -> datetime:
    """The current moment, aware and in UTC."""
    stopped = _state.frozen
    if stopped is not None:
        return stopped.at
    return datetime.now(UTC) + _state.offset()


def follow(offset: Offset) -> Offset:
    """From now on add what ``offset()`` returns to the wall time, in the whole process.

    Returns what was followed until now.
    """
    before = _state.offset
    _state.offset = offset
    return before


def ahead() -> timedelta:
    """How far this clock runs ahead of the wall's, by which the database stamps its rows."""
    if _state.frozen is not None:
        return now() - datetime.now(UTC)
    return _state.offset()


def moment_of(stamped_at: datetime, known_at: datetime | None) -> datetime:
    """When a row came about by this clock: its stamp, or what this clock said of it if ahead."""
    if known_at is None or ahead() <= timedelta(0):
        return stamped_at
    return max(stamped_at, known_at)


@contextmanager
def frozen(at: datetime) -> Iterator[FrozenClock]:
    """Stop the clock at ``at`` (aware) for the length of the block, in every thread."""
    if at.tzinfo is None:
        raise ValueError("clock.frozen() needs an aware datetime")
    before = _state.frozen
    _state.frozen = FrozenClock(at.astimezone(UTC))
    try:
        yield _state.frozen
    finally:
        _state.frozen = before


@contextmanager
def travel(delta: timedelta) -> Iterator[None]:
    """Let the clock run ``delta`` ahead of where it was for the length of the block."""
    if _state.frozen is not None:
        raise RuntimeError("a frozen clock is moved with its own move()")
    before = _state.offset

    def shifted() -> timedelta:
        return before() + delta

    _state.offset = shifted
    try:
        yield
    finally:
        _state.offset = before
