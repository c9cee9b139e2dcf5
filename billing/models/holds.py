"""Holds, and the spend cap they count against. Only the functions of ``billing/sql`` write here."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from billing.models.ledger import LedgerAccount, Transfer
from billing.models.lots import Lot


class HoldState(models.TextChoices):
    """Where a hold stands; all but ``held`` are final."""

    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


class Hold(models.Model):
    """Units set aside from certain lots until captured, released or past their deadline."""

    id = models.UUIDField(primary_key=True)
    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="holds", db_constraint=False
    )
    amount_minor = models.BigIntegerField()
    captured_minor = models.BigIntegerField(default=0)
    state = models.CharField(max_length=8, choices=HoldState, default=HoldState.HELD)
    code = models.CharField(max_length=32)
    key = models.CharField(max_length=200)
    group = models.CharField(max_length=200, db_column="group_key")
    # Null: it waits for a decision, e.g. a refund that the provider has not confirmed.
    deadline_at = models.DateTimeField(null=True)
    # The transfer that captured it.
    captured_by = models.ForeignKey(
        Transfer,
        models.PROTECT,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # The month whose spend cap it counts against; null when it counts against none.
    cap_period_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["key"], name="one_hold_per_key"),
            models.CheckConstraint(
                condition=Q(
                    amount_minor__gt=0,
                    captured_minor__gte=0,
                    captured_minor__lte=F("amount_minor"),
                ),
                name="hold_captures_no_more_than_it_holds",
            ),
            models.CheckConstraint(
                condition=Q(state="captured", captured_minor__gt=0, captured_by__isnull=False)
                | (~Q(state="captured") & Q(captured_minor=0, captured_by=None)),
                name="only_captured_holds_captured",
            ),
        ]
        indexes = [
            models.Index(fields=["group"], name="hold_by_group"),
            models.Index(fields=["deadline_at"], name="hold_due", condition=Q(state="held")),
        ]

    def __str__(self) -> str:
        return self.key


class HoldLot(models.Model):
    """How much of a hold is pinned on which lot; captured in id order."""

    hold = models.ForeignKey(Hold, models.PROTECT, related_name="pins", db_constraint=False)
    lot = models.ForeignKey(Lot, models.PROTECT, related_name="pins", db_constraint=False)
    amount_minor = models.BigIntegerField()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(condition=Q(amount_minor__gt=0), name="pin_amount_positive")
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} of lot {self.lot_id} for {self.hold_id}"


class SpendCapPeriod(models.Model):
    """What counted against an account's spend cap in one month of its anchor."""

    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="cap_periods", db_constraint=False
    )
    starts_at = models.DateTimeField()
    used_minor = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["account", "starts_at"], name="one_cap_period_a_month"),
            models.CheckConstraint(condition=Q(used_minor__gte=0), name="cap_use_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.used_minor} since {self.starts_at:%Y-%m-%d}"
