"""The inbox: what a provider told us, stored before anything reacts to it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class EventState(models.TextChoices):
    """Where an event stands."""

    NEW = "new", "waiting"
    HANDLED = "handled", "handled"
    IGNORED = "ignored", "nothing to do"
    FAILED = "failed", "failing, tried again"


class InboundEvent(models.Model):
    """One outside message, once per rail and the provider's own id for it."""

    rail = models.CharField(max_length=16)
    external_id = models.CharField(max_length=128)
    kind = models.CharField(max_length=80)
    # The provider's id of the thing it is about; handlers ask the provider for its state today.
    object_id = models.CharField(max_length=128, blank=True)
    payload = models.JSONField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=7, choices=EventState, default=EventState.NEW)
    attempts = models.PositiveIntegerField(default=0)
    # A worker that takes an event moves this past its lease; the sweeper rings for what is due.
    next_attempt_at = models.DateTimeField()
    last_error = models.TextField(blank=True)
    handled_at = models.DateTimeField(null=True)
    # The rail's copy of the provider's objects took it too (dj-stripe); retried apart.
    mirrored_at = models.DateTimeField(null=True)
    mirror_error = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["rail", "external_id"], name="inbound_event_once_per_rail"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="inbound_event_due",
                condition=Q(state__in=["new", "failed"]),
            ),
            models.Index(fields=["rail", "object_id"], name="inbound_event_by_object"),
            models.Index(fields=["-received_at", "-id"], name="inbound_event_newest"),
            models.Index(
                fields=["received_at"],
                name="inbound_event_unmirrored",
                condition=Q(mirrored_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.external_id}"
