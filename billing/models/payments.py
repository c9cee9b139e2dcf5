"""Payments: money that really came. Refunds: money that goes back, a row before it is a call."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import pgettext_lazy

from billing.models.orders import Order
from billing.money import Asset, Money, asset
from common import clock, ids


class Payment(models.Model):
    """Money that really came in, over one rail, for at most one order."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    rail = models.CharField(max_length=16)
    # The rail's own name for this charge, e.g. a PaymentIntent or Stars charge id.
    external_id = models.CharField(max_length=128)
    # Null when the payer is unknown: then it waits for staff.
    customer = models.ForeignKey(
        "accounts.Customer", models.PROTECT, null=True, related_name="payments"
    )
    # Null: it matched nothing and lies on the "unapplied" account.
    order = models.ForeignKey(Order, models.PROTECT, null=True, related_name="payments")
    asset = models.CharField(max_length=16)
    amount_minor = models.BigIntegerField()
    tax_minor = models.BigIntegerField(default=0)
    # Why it was not applied to the order it names; empty when it was.
    unapplied_reason = models.CharField(max_length=200, blank=True)
    # Refunds that were asked for and have not failed; never more than came in.
    refunding_minor = models.BigIntegerField(default=0)
    # Refunds that are booked, and the tax in them.
    refunded_minor = models.BigIntegerField(default=0)
    refunded_tax_minor = models.BigIntegerField(default=0)
    # What the provider kept, once its balance transaction says so.
    fee_minor = models.BigIntegerField(null=True)
    occurred_at = models.DateTimeField()
    settled_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["rail", "external_id"], name="payment_once_per_rail"),
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0, tax_minor__gte=0, tax_minor__lte=F("amount_minor")),
                name="payment_amount_positive",
            ),
            models.CheckConstraint(
                condition=Q(
                    refunded_minor__gte=0,
                    refunded_minor__lte=F("refunding_minor"),
                    refunding_minor__lte=F("amount_minor"),
                    refunded_tax_minor__gte=0,
                    refunded_tax_minor__lte=F("tax_minor"),
                ),
                name="refunds_never_exceed_the_payment",
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="payment_by_customer"),
            models.Index(fields=["id"], name="payment_unapplied", condition=Q(order__isnull=True)),
            models.Index(fields=["occurred_at"], name="payment_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.external_id}"

    @property
    def unit(self) -> Asset:
        """The asset the money came in."""
        return asset(self.asset)

    @property
    def amount(self) -> Money:
        """All that came in, tax included."""
        return Money(self.amount_minor, self.unit)

    @property
    def net_minor(self) -> int:
        """What came in without tax."""
        return self.amount_minor - self.tax_minor

    @property
    def net(self) -> Money:
        """What came in without tax."""
        return Money(self.net_minor, self.unit)

    @property
    def refundable(self) -> Money:
        """What no refund has asked for yet."""
        return Money(self.amount_minor - self.refunding_minor, self.unit)


class UnappliedPayment(Payment):
    """A payment that matched no order, as a list of its own for staff."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = "unapplied payment"


class RefundState(models.TextChoices):
    """Where a refund stands."""

    REQUESTED = "requested", pgettext_lazy("a refund", "to be sent")
    SENT = "sent", pgettext_lazy("a refund", "waiting for the provider")
    SUCCEEDED = "succeeded", pgettext_lazy("a refund", "succeeded")
    FAILED = "failed", pgettext_lazy("a refund", "failed")


class Refund(models.Model):
    """Money on its way back to a payer. The row exists before the provider is called.

    ``provider_key`` is the idempotency key; the row's id goes into the metadata, so that
    an act whose answer was lost is looked up before it is tried under a new key.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    amount_minor = models.BigIntegerField()
    # The part of it that is tax, fixed when it is asked for.
    tax_minor = models.BigIntegerField(default=0)
    state = models.CharField(max_length=9, choices=RefundState, default=RefundState.REQUESTED)
    reason = models.CharField(max_length=200)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    external_id = models.CharField(max_length=128, null=True)  # noqa: DJ001 - unique once known
    key = models.CharField(max_length=200, unique=True)
    # Counts keys that the provider has used up, by answering an error under them.
    spent_keys = models.PositiveSmallIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    first_tried_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    failure = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    # When the ledger took it; null again after a booked refund turned out to have failed.
    booked_at = models.DateTimeField(null=True)
    # How often it was booked: a refund that fails after it was booked is reversed once each.
    bookings = models.PositiveSmallIntegerField(default=0)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_minor__gt=0, tax_minor__gte=0, tax_minor__lte=F("amount_minor")),
                name="refund_amount_positive",
            ),
            models.UniqueConstraint(fields=["external_id"], name="refund_once_per_external_id"),
            models.CheckConstraint(
                condition=~Q(state="failed") | Q(booked_at=None), name="failed_refund_is_unbooked"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="refund_due", condition=Q(state="requested")
            ),
            models.Index(fields=["payment", "-id"], name="refund_by_payment"),
            models.Index(
                fields=["booked_at"], name="refund_booked", condition=Q(booked_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} of {self.payment_id}"

    @property
    def asked_at(self) -> datetime:
        """When it was asked for."""
        return clock.moment_of(self.created_at, self.first_tried_at or self.booked_at)

    @property
    def provider_key(self) -> str:
        """The idempotency key for the next call to the provider."""
        return f"{self.key}:{self.spent_keys}"

    @property
    def amount(self) -> Money:
        """All that goes back, tax included."""
        return Money(self.amount_minor, self.payment.unit)
