"""Calls that move money at a provider: a row first, then the call, then what became of it.

One worker at a time makes a call, under the row's own key; one that dies leaves it to the next.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from billing.errors import RailUnavailable
from common import clock

LEASE = timedelta(minutes=2)
# Providers forget idempotency keys after a day; before that the same key is safe to send again.
KEY_LASTS = timedelta(hours=20)
_BACK_OFF_SECONDS = (5, 15, 60, 300, 900, 3600)


class Call(Protocol):
    """A row that stands for one."""

    attempts: int
    first_tried_at: datetime | None
    next_attempt_at: datetime | None
    last_error: str


def lease(call: Call) -> list[str]:
    """Count an attempt and keep others from it for a while; the names of the fields to save."""
    now = clock.now()
    call.attempts += 1
    call.first_tried_at = call.first_tried_at or now
    call.next_attempt_at = now + LEASE
    return ["attempts", "first_tried_at", "next_attempt_at"]


def postpone(call: Call, error: Exception) -> list[str]:
    """Keep why it failed and try again later, rarer each time; the names of the fields to save."""
    wait = _BACK_OFF_SECONDS[min(call.attempts, len(_BACK_OFF_SECONDS)) - 1]
    call.last_error = f"{type(error).__name__}: {error}"[:2000]
    call.next_attempt_at = clock.now() + timedelta(seconds=wait)
    return ["last_error", "next_attempt_at"]


def tried_for(call: Call) -> timedelta:
    """How long ago it was first tried."""
    return clock.now() - (call.first_tried_at or clock.now())


def needs_new_key(call: Call, error: Exception) -> bool:
    """Whether the provider has used the key up, or may have forgotten it."""
    is_spent = isinstance(error, RailUnavailable) and error.key_spent
    return is_spent or tried_for(call) > KEY_LASTS
