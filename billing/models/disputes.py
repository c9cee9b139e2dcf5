"""Disputes: a payer's bank wants money back, and what became of it."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from billing.models.payments import Payment
from billing.money import Asset, Money
from common import ids


class DisputeState(models.TextChoices):
    """Where a dispute stands."""

    INQUIRY = "inquiry", "a question, nothing withdrawn"
    OPEN = "open", "open"
    WON = "won", "won"
    LOST = "lost", "lost"


class Dispute(models.Model):
    """A payer's claim against one payment, as the provider tells it.

    While it is open, the disputed money lies on ``disputed`` and the units it bought are pinned.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    rail = models.CharField(max_length=16)
    external_id = models.CharField(max_length=128)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="disputes")
    state = models.CharField(max_length=7, choices=DisputeState)
    # The provider's own words for status and reason.
    provider_status = models.CharField(max_length=40)
    reason = models.CharField(max_length=40, blank=True)
    amount_minor = models.BigIntegerField()
    # The part of it that this payment still covered when it was frozen; the rest is our loss.
    frozen_minor = models.BigIntegerField(default=0)
    frozen_tax_minor = models.BigIntegerField(default=0)
    # How much of the payment's net had gone back before: units follow the net from there on.
    net_before_minor = models.BigIntegerField(default=0)
    is_frozen = models.BooleanField(default=False)
    # How often it was frozen; keys of its transfers carry it.
    freezes = models.PositiveSmallIntegerField(default=0)
    # What the provider took from our balance, gave back, and charged for it.
    withdrawn_minor = models.BigIntegerField(default=0)
    reinstated_minor = models.BigIntegerField(default=0)
    fee_minor = models.BigIntegerField(default=0)
    opened_at = models.DateTimeField()
    evidence_due_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["rail", "external_id"], name="dispute_once_per_rail"),
            models.CheckConstraint(
                condition=Q(
                    amount_minor__gt=0,
                    frozen_minor__gte=0,
                    frozen_minor__lte=F("amount_minor"),
                    frozen_tax_minor__gte=0,
                    frozen_tax_minor__lte=F("frozen_minor"),
                    withdrawn_minor__gte=0,
                    reinstated_minor__gte=0,
                    fee_minor__gte=0,
                ),
                name="dispute_amounts_make_sense",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["inquiry", "won"]) | Q(is_frozen=False),
                name="only_open_or_lost_disputes_freeze",
            ),
        ]
        indexes = [
            models.Index(fields=["payment", "-id"], name="dispute_by_payment"),
            models.Index(
                fields=["evidence_due_at"], name="dispute_open", condition=Q(state="open")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.external_id}"

    @property
    def unit(self) -> Asset:
        """The asset of the disputed money."""
        return self.payment.unit

    @property
    def amount(self) -> Money:
        """What the payer wants back."""
        return Money(self.amount_minor, self.unit)
