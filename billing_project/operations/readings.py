"""Readings: noting one, and how old it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from billing_project.operations.models import Reading

# A worker took a task that beat rang for: both live, and the way between them is open.
HEARTBEAT = "heartbeat"
# How many differences the last check of the ledger found.
LEDGER = "ledger_differences"
# The value of a reading that has not been made yet.
EXPECTED = -1


@dataclass(frozen=True, slots=True)
class Read:
    """What was read, and how long ago."""

    value: int
    age: timedelta


def note(name: str, value: int = 0) -> None:
    """Replace the reading of that name."""
    now: Any = Now()
    Reading.objects.bulk_create(
        [Reading(name=name, value=value, read_at=now)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["value", "read_at"],
    )


def expect(name: str) -> None:
    """Count from now on if it was never read: what never comes is late one day, too."""
    Reading.objects.bulk_create([Reading(name=name, value=EXPECTED)], ignore_conflicts=True)


def longest_silence() -> timedelta:
    """How long a worker may be unheard."""
    return timedelta(minutes=settings.ALERT_WORKER_MINUTES)


def last(name: str) -> Read | None:
    """The last reading; None when there never was one."""
    age = ExpressionWrapper(Now() - F("read_at"), output_field=DurationField())
    found = Reading.objects.filter(name=name).annotate(age=age).values_list("value", "age").first()
    return None if found is None else Read(*found)
