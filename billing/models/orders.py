"""Orders: what somebody asked for, with the product and price as they were at that moment."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import pgettext_lazy

from billing.money import Asset, Money, asset
from common import ids


class OrderStatus(models.TextChoices):
    """Where an order stands. Delivery is told by ``delivered_at``, refunds by its payment."""

    OPEN = "open", pgettext_lazy("an order", "waiting for payment")
    PAID = "paid", pgettext_lazy("an order", "paid")
    EXPIRED = "expired", pgettext_lazy("an order", "not paid in time")
    FAILED = "failed", pgettext_lazy("an order", "payment failed")
    CANCELLED = "cancelled", pgettext_lazy("an order", "refunded before delivery")


class Order(models.Model):
    """One product asked for by one customer, to be paid over one rail."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", models.PROTECT, related_name="orders")
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    rail = models.CharField(max_length=16)
    # The product as it was sold: its kind, slug and contents (see services/products.py).
    product_kind = models.CharField(max_length=32)
    product_slug = models.CharField(max_length=64)
    product_name = models.CharField(max_length=120)
    snapshot = models.JSONField()
    asset = models.CharField(max_length=16)
    subtotal_minor = models.BigIntegerField()
    # Discount and tax are the provider's, known once paid. total = subtotal - discount + tax.
    discount_minor = models.BigIntegerField(default=0)
    tax_minor = models.BigIntegerField(default=0)
    status = models.CharField(max_length=9, choices=OrderStatus, default=OrderStatus.OPEN)
    # Made from money that matched no order, see services/unapplied.py.
    from_unapplied = models.BooleanField(default=False)
    # The provider's pay page: its id there and its address.
    external_id = models.CharField(max_length=128, blank=True)
    pay_url = models.TextField(blank=True)
    # Counts keys that the provider has used up, by answering an error under them.
    spent_keys = models.PositiveSmallIntegerField(default=0)
    return_url = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    delivery_attempts = models.PositiveIntegerField(default=0)
    delivery_error = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    subtotal_minor__gt=0,
                    discount_minor__gte=0,
                    discount_minor__lte=F("subtotal_minor"),
                    tax_minor__gte=0,
                ),
                name="order_amounts_make_sense",
            ),
            models.CheckConstraint(
                condition=Q(delivered_at=None) | Q(status="paid"), name="only_paid_is_delivered"
            ),
            models.CheckConstraint(
                condition=~Q(status="paid") | Q(paid_at__isnull=False), name="paid_order_says_when"
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="order_by_customer"),
            models.Index(
                fields=["paid_at"],
                name="order_undelivered",
                condition=Q(status="paid", delivered_at=None),
            ),
            models.Index(
                fields=["rail", "external_id"],
                name="order_by_external_id",
                condition=~Q(external_id=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.product_name} ({self.status})"

    @property
    def unit(self) -> Asset:
        """The asset the order is priced in."""
        return asset(self.asset)

    @property
    def subtotal(self) -> Money:
        """The price before discount and tax."""
        return Money(self.subtotal_minor, self.unit)

    @property
    def net(self) -> Money:
        """What is left for the product: subtotal less discount, without tax."""
        return Money(self.subtotal_minor - self.discount_minor, self.unit)

    @property
    def tax(self) -> Money:
        """Tax on top of the net amount."""
        return Money(self.tax_minor, self.unit)

    @property
    def total(self) -> Money:
        """What the customer pays: net plus tax."""
        return self.net + self.tax

    @property
    def recurring(self) -> dict[str, Any] | None:
        """How a rail that renews is to bill it: ``interval`` and ``trial_days``; None: once."""
        wanted: dict[str, Any] | None = self.snapshot.get("recurring")
        return wanted

    @property
    def is_off_session(self) -> bool:
        """Whether it is charged to a saved card by itself: it has no pay page."""
        return bool(self.snapshot.get("off_session"))

    @property
    def provider_key(self) -> str:
        """The idempotency key for asking the provider for a pay page."""
        return f"order:{self.pk}:{self.spent_keys}"

    @property
    def is_open(self) -> bool:
        """Whether it still waits for its payment."""
        return self.status == OrderStatus.OPEN
