"""Lots: what a wallet is made of. Only the SQL functions of ``billing/sql`` write here."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Least
from django.db.models.lookups import GreaterThanOrEqual

from billing.models.ledger import LedgerAccount, Transfer


class Lot(models.Model):
    """One grant of credits or units: what is left of it, until when, and what it cost.

    Every unit granted is in exactly one place: remaining, used, revoked or expired. Every cent of
    its cost is deferred until it is recognised (sales), breakage, or refunded.
    """

    account = models.ForeignKey(
        LedgerAccount, models.PROTECT, related_name="lots", db_constraint=False, db_index=False
    )
    # What brought it: a grant, or the return of a spend whose own lot had expired.
    transfer = models.ForeignKey(Transfer, models.PROTECT, related_name="lots", db_constraint=False)
    replaces = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="replacements", db_constraint=False
    )
    granted_minor = models.BigIntegerField()
    remaining_minor = models.BigIntegerField()
    held_minor = models.BigIntegerField(default=0)
    used_minor = models.BigIntegerField(default=0)
    revoked_minor = models.BigIntegerField(default=0)
    expired_minor = models.BigIntegerField(default=0)
    # Says whether anything remains; a column, so that updates of an open lot touch no index.
    is_open = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True)
    priority = models.SmallIntegerField(default=0)
    promotional = models.BooleanField(default=False)
    # What gave it, e.g. order:<id>: refunds find their lots by it.
    origin = models.CharField(max_length=100)
    # Money it was bought with, net of tax, and where that money is now.
    cost_minor = models.BigIntegerField(default=0)
    cost_asset = models.CharField(max_length=16, blank=True)
    recognised_minor = models.BigIntegerField(default=0)
    breakage_minor = models.BigIntegerField(default=0)
    refunded_minor = models.BigIntegerField(default=0)
    # Counts bookings of revenue, so that each has a key of its own.
    revenue_bookings = models.IntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    held_minor__lte=F("remaining_minor"),
                    remaining_minor__lte=F("granted_minor"),
                    granted_minor__gt=0,
                ),
                name="lot_covers_its_holds",
            ),
            # One expression, not seven: PostgreSQL reads the text of every check in every debit.
            models.CheckConstraint(
                condition=GreaterThanOrEqual(
                    Least(
                        "held_minor",
                        "used_minor",
                        "revoked_minor",
                        "expired_minor",
                        "recognised_minor",
                        "breakage_minor",
                        "refunded_minor",
                    ),
                    0,
                ),
                name="nothing_of_a_lot_is_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    granted_minor=F("remaining_minor")
                    + F("used_minor")
                    + F("revoked_minor")
                    + F("expired_minor")
                ),
                name="every_unit_of_a_lot_is_somewhere",
            ),
            models.CheckConstraint(
                condition=Q(
                    cost_minor__gte=F("recognised_minor")
                    + F("breakage_minor")
                    + F("refunded_minor")
                ),
                name="a_lot_earns_no_more_than_it_cost",
            ),
            models.CheckConstraint(
                condition=Q(is_open=Q(remaining_minor__gt=0)),
                name="lot_is_open_while_units_remain",
            ),
        ]
        indexes = [
            models.Index(
                "account",
                "priority",
                F("expires_at").asc(nulls_last=True),
                F("promotional").desc(),
                "id",
                name="lot_burn_order",
                condition=Q(is_open=True),
            ),
            models.Index(
                fields=["expires_at"],
                name="lot_due_to_expire",
                condition=Q(is_open=True, expires_at__isnull=False),
            ),
            models.Index(
                fields=["id"],
                name="lot_with_deferred_money",
                condition=Q(
                    cost_minor__gt=F("recognised_minor") + F("breakage_minor") + F("refunded_minor")
                ),
            ),
            models.Index(fields=["account", "id"], name="lot_by_account"),
            models.Index(fields=["origin"], name="lot_by_origin"),
        ]

    def __str__(self) -> str:
        return f"lot {self.pk} of {self.origin}"

    @property
    def deferred_minor(self) -> int:
        """Money of its cost that is neither earned nor given back."""
        return self.cost_minor - self.recognised_minor - self.breakage_minor - self.refunded_minor


class LotUse(models.Model):
    """Which transfer took how much from which lot, and how much of that came back."""

    transfer = models.ForeignKey(
        Transfer, models.PROTECT, related_name="lot_uses", db_constraint=False
    )
    lot = models.ForeignKey(Lot, models.PROTECT, related_name="uses", db_constraint=False)
    amount_minor = models.BigIntegerField()
    returned_minor = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    amount_minor__gt=0,
                    returned_minor__gte=0,
                    returned_minor__lte=F("amount_minor"),
                ),
                name="lot_use_returns_no_more_than_it_took",
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount_minor} of lot {self.lot_id}"
