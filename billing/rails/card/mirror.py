"""dj-stripe's copy of Stripe's objects: for looking at, never for deciding about money."""

from __future__ import annotations

from djstripe.models import Event

from billing.models import InboundEvent


def take(event: InboundEvent) -> None:
    """Let dj-stripe process a stored event, once; it asks the API for the object's state today."""
    Event.process(event.payload)
