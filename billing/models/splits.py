"""How the net of a sale was shared between a creator and the house."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class Split(models.Model):
    """One sale's shares, by the rule of its day, and how much of them refunds took back.

    creator = floor(net × bps / 10000); the house has the rest.
    """

    # Names the sale, e.g. the payment's ledger group; shares are booked once per key.
    key = models.CharField(max_length=180, unique=True)
    creator = models.ForeignKey("accounts.Customer", models.PROTECT, related_name="splits")
    asset = models.CharField(max_length=16)
    net_minor = models.BigIntegerField()
    creator_minor = models.BigIntegerField()
    creator_bps = models.PositiveIntegerField()
    rule_version = models.CharField(max_length=32)
    refunded_net_minor = models.BigIntegerField(default=0)
    reversed_creator_minor = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    net_minor__gt=0,
                    creator_minor__gte=0,
                    creator_minor__lte=F("net_minor"),
                    creator_bps__lte=10000,
                ),
                name="split_shares_the_net",
            ),
            models.CheckConstraint(
                condition=Q(
                    refunded_net_minor__gte=0,
                    refunded_net_minor__lte=F("net_minor"),
                    reversed_creator_minor__gte=0,
                    reversed_creator_minor__lte=F("creator_minor"),
                ),
                name="split_takes_back_no_more_than_it_gave",
            ),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def platform_minor(self) -> int:
        """The house's share."""
        return self.net_minor - self.creator_minor
