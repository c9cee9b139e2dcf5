"""The inbox: store first, act once, try again until it worked."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from billing.models import EventState, InboundEvent
from billing.services import rails
from common import clock, doorbell

logger = logging.getLogger(__name__)

HANDLE_TASK = "billing.handle_inbound_event"
MAX_BACK_OFF = timedelta(hours=1)
MIRROR_FOR = timedelta(days=1)


@transaction.atomic
def record(
    *,
    rail: str,
    external_id: str,
    kind: str,
    object_id: str,
    payload: dict[str, Any],
    occurred_at: datetime,
) -> bool:
    """Store an outside message and ring for a worker; False when it was there before."""
    event, is_new = InboundEvent.objects.get_or_create(
        rail=rail,
        external_id=external_id,
        defaults={
            "kind": kind,
            "object_id": object_id,
            "payload": payload,
            "occurred_at": occurred_at,
            "next_attempt_at": clock.now(),
        },
    )
    if event.state in (EventState.NEW, EventState.FAILED):
        doorbell.ring(HANDLE_TASK, event.pk)
    return is_new


def handle(event_id: int) -> None:
    """Let the rail's handler act on a stored event, once; failures are kept and tried again.

    The handler may call its provider, so no transaction is open. A worker that dies leaves the
    event to the next one, after its lease.
    """
    event = _claim(event_id)
    if event is None:
        return
    try:
        rail = rails.of(event)
        _mirror(rail, event)
        handler = rail.handlers.get(event.kind)
        if handler is not None:
            handler(event)
    except Exception as error:  # noqa: BLE001 - any failure is kept, shown and tried again
        _postpone(event, error)
    else:
        _finish(event, EventState.HANDLED if handler else EventState.IGNORED)


def due_ids(limit: int = 200) -> list[int]:
    """Events to ring for again: never handled, or failed and due."""
    waiting = InboundEvent.objects.filter(
        state__in=[EventState.NEW, EventState.FAILED], next_attempt_at__lte=clock.now()
    )
    return list(waiting.order_by("next_attempt_at", "pk").values_list("pk", flat=True)[:limit])


def handle_again(event_id: int) -> None:
    """Put an event back in the queue, whatever became of it; handlers act once all the same."""
    InboundEvent.objects.filter(pk=event_id).update(
        state=EventState.NEW, next_attempt_at=clock.now()
    )
    doorbell.ring(HANDLE_TASK, event_id)


def mirror_missing(limit: int = 100) -> int:
    """Try the rail's own copy again for events it has not taken; returns how many it took.

    For a day, and in no order: events that it never will take must not hold up the others.
    """
    missing = InboundEvent.objects.filter(
        mirrored_at=None,
        received_at__gt=Now() - MIRROR_FOR,
        rail__in=[rail.name for rail in rails.available()],
    )
    taken = 0
    for event in missing.exclude(state=EventState.NEW).order_by("?")[:limit]:
        _mirror(rails.of(event), event)
        taken += event.mirrored_at is not None
    return taken


@transaction.atomic
def _claim(event_id: int) -> InboundEvent | None:
    now = clock.now()
    event = (
        InboundEvent.objects.select_for_update(skip_locked=True)
        .filter(
            Q(next_attempt_at__lte=now),
            pk=event_id,
            state__in=[EventState.NEW, EventState.FAILED],
        )
        .first()
    )
    if event is None:
        return None
    event.attempts += 1
    event.next_attempt_at = now + timedelta(seconds=settings.INBOX_LEASE_SECONDS)
    event.save(update_fields=["attempts", "next_attempt_at"])
    return event


def _mirror(rail: rails.Rail, event: InboundEvent) -> None:
    if event.mirrored_at is not None:
        return
    try:
        rail.mirror(event)
    except Exception as error:
        # The mirror is for looking at; money does not wait for it.
        logger.warning("mirror failed", extra={"event_id": event.external_id}, exc_info=True)
        event.mirror_error = f"{type(error).__name__}: {error}"[:2000]
    else:
        event.mirrored_at = clock.now()
        event.mirror_error = ""
    event.save(update_fields=["mirrored_at", "mirror_error"])


def _finish(event: InboundEvent, state: EventState) -> None:
    event.state = state
    event.handled_at = clock.now()
    event.last_error = ""
    event.save(update_fields=["state", "handled_at", "last_error"])


def _postpone(event: InboundEvent, error: Exception) -> None:
    logger.warning("handler failed", extra={"event_id": event.external_id}, exc_info=error)
    wait = min(timedelta(seconds=2 ** min(event.attempts, 12)), MAX_BACK_OFF)
    event.state = EventState.FAILED
    event.last_error = f"{type(error).__name__}: {error}"[:2000]
    event.next_attempt_at = clock.now() + wait
    event.save(update_fields=["state", "last_error", "next_attempt_at"])
