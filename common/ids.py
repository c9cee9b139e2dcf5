"""Identifiers that sort by the time they were made."""

import uuid

import uuid6


def uuid7() -> uuid.UUID:
    """A new UUIDv7 of the wall clock (not of ``common.clock``: ids only have to be new)."""
    return uuid.UUID(int=uuid6.uuid7().int)
