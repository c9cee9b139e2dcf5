"""Identifiers that sort by the time they were made."""

import time
import uuid

import uuid6


def uuid7() -> uuid.UUID:
    """A new UUIDv7 of the wall clock (not of ``common.clock``: ids only have to be new)."""
    return uuid.UUID(int=uuid6.uuid7().int)


def floor(seconds_ago: float) -> uuid.UUID:
    """A value below every id that was made since then: finds new rows by their primary key."""
    milliseconds = max(int((time.time() - seconds_ago) * 1000), 0)
    return uuid.UUID(int=milliseconds << 80)
