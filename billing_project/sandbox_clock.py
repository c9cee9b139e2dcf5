"""The sandbox's clock, followed: what it says in a file is how far the portal's time is ahead.

The sandbox writes its offset in seconds into one file, whole or not at all, whenever it moves. A
file that was never there means that it has not moved yet. Following costs one ``stat`` per look.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from common import clock

logger = logging.getLogger(__name__)

# Far beyond any demo, and near enough that no date runs out of the calendar.
FARTHEST_SECONDS = 100 * 365.25 * 24 * 3600
LONGEST_TEXT = 64

_Signature = tuple[int, int, int]
_NO_OFFSET = timedelta(0)


class SandboxClock:
    """The offset in one file, read again only when the file has changed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: tuple[_Signature | None, timedelta] = (None, _NO_OFFSET)
        self._complained = False

    def offset(self) -> timedelta:
        """How far ahead the sandbox is now; nothing when its file is missing or no number."""
        try:
            signature = _signature(os.stat(self._file))  # noqa: PTH116 - asked at every now()
            known, offset = self._seen
            if signature == known:
                return offset
            return self._read()
        except OSError as problem:
            return self._lost(problem)

    def _read(self) -> timedelta:
        with self._file.open("rb") as file:
            signature = _signature(os.fstat(file.fileno()))
            content = file.read(LONGEST_TEXT + 1)
        try:
            offset = parse(content)
        except ValueError as problem:
            self._complain(problem)
            offset = _NO_OFFSET
        self._seen = (signature, offset)
        return offset

    def _lost(self, problem: OSError) -> timedelta:
        """Without the file time is the wall's; that is worth a line if the file was there once."""
        known, _ = self._seen
        if known is not None or not isinstance(problem, FileNotFoundError):
            self._complain(problem)
        self._seen = (None, _NO_OFFSET)
        return _NO_OFFSET

    def _complain(self, problem: Exception) -> None:
        if not self._complained:
            self._complained = True
            logger.warning(
                "the sandbox's clock cannot be read; going on with the wall's time",
                extra={"file": str(self._file), "problem": str(problem)},
            )


def parse(content: bytes) -> timedelta:
    """The offset that a file's content means, kept within bounds. Raises ValueError."""
    if len(content) > LONGEST_TEXT:
        raise ValueError("too long for a number of seconds")
    seconds = float(content)
    if math.isnan(seconds):
        raise ValueError("not a number of seconds")
    return timedelta(seconds=max(-FARTHEST_SECONDS, min(seconds, FARTHEST_SECONDS)))


def follow(file: Path) -> None:
    """Let the portal's clock follow the sandbox's, for as long as the process lives."""
    clock.follow(SandboxClock(file).offset)


@contextmanager
def following(file: Path) -> Iterator[None]:
    """Follow the sandbox's clock for the length of the block, then what was followed before."""
    before = clock.follow(SandboxClock(file).offset)
    try:
        yield
    finally:
        clock.follow(before)


def _signature(status: os.stat_result) -> _Signature:
    return (status.st_mtime_ns, status.st_size, status.st_ino)
