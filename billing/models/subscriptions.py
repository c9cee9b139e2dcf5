"""Subscriptions, whichever rail pays them, and the stretches of time that were billed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from billing.models.orders import Order
from billing.money import Asset, Money, asset
from billing.plans import Interval
from common import ids

_TICK = timedelta(microseconds=1)


class SubscriptionStatus(models.TextChoices):
    """Where a subscription stands."""

    TRIALING = "trialing", "on trial"
    ACTIVE = "active", "active"
    PAST_DUE = "past_due", "payment failed, access kept for now"
    SUSPENDED = "suspended", "suspended until it is paid"
    ENDED = "ended", "ended"


# The subject of subscriptions to plans.
PLAN = "plan"
# What is owed has not been paid; paying it restores the subscription.
FAILING = (SubscriptionStatus.PAST_DUE, SubscriptionStatus.SUSPENDED)


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    """What is asked of subscriptions in more than one place."""

    def live(self, at: datetime) -> Self:
        """Those to a plan that have not ended by then, the oldest first."""
        found = self.filter(Q(renews=True) | Q(period_ends_at__gt=at), subject=PLAN)
        found = found.exclude(status=SubscriptionStatus.ENDED).exclude(cancels_at__lte=at)
        return found.order_by("pk")


class Subscription(models.Model):
    """A customer's standing order for a plan (or, by other apps, another ``subject``)."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", models.PROTECT, related_name="subscriptions")
    rail = models.CharField(max_length=16)
    # The provider's own name for it; empty for prepaid time, which the provider does not know of.
    external_id = models.CharField(max_length=128, blank=True)
    subject = models.CharField(max_length=64, default=PLAN)
    plan_slug = models.CharField(max_length=64)
    interval = models.CharField(max_length=8, choices=Interval)
    # What the next period costs as things stand.
    asset = models.CharField(max_length=16)
    price_minor = models.BigIntegerField()
    status = models.CharField(max_length=9, choices=SubscriptionStatus)
    # Whether the rail renews it by itself; prepaid time ends when it is over.
    renews = models.BooleanField()
    # Period n is counted from the anchor in this time zone.
    anchor_at = models.DateTimeField()
    time_zone = models.CharField(max_length=64, default="UTC")
    period_starts_at = models.DateTimeField()
    period_ends_at = models.DateTimeField()
    trial_ends_at = models.DateTimeField(null=True)
    # It ends then instead of renewing.
    cancels_at = models.DateTimeField(null=True)
    # It goes on as this at the end of the period; empty when it stays what it is.
    next_plan_slug = models.CharField(max_length=64, blank=True)
    next_interval = models.CharField(max_length=8, blank=True)
    past_due_since = models.DateTimeField(null=True)
    # Reminders sent since then.
    reminders = models.PositiveSmallIntegerField(default=0)
    # Causes (disputes, refunds under way) that keep its access shut.
    frozen_by = ArrayField(models.CharField(max_length=80), default=list)
    # Bought although the customer had one already: kept, shown to staff, refundable.
    is_duplicate = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    # The rail still has to be told to stop charging.
    stop_requested_at = models.DateTimeField(null=True)
    # Counts what the rail said of it: an answer that was overtaken by another is asked again.
    heard = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["rail", "external_id"],
                name="subscription_once_per_rail",
                condition=~Q(external_id=""),
            ),
            models.CheckConstraint(
                condition=Q(period_starts_at__lt=F("period_ends_at")),
                name="subscription_period_has_length",
            ),
            models.CheckConstraint(
                condition=Q(status="ended", ended_at__isnull=False)
                | (~Q(status="ended") & Q(ended_at=None)),
                name="only_ended_subscriptions_have_an_end",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["past_due", "suspended"])
                | Q(past_due_since__isnull=False),
                name="past_due_subscription_says_since_when",
            ),
            models.CheckConstraint(
                condition=Q(price_minor__gte=0), name="subscription_price_not_negative"
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="subscription_by_customer"),
            models.Index(
                fields=["period_ends_at"],
                name="subscription_by_period_end",
                condition=~Q(status="ended"),
            ),
            models.Index(
                fields=["past_due_since"],
                name="subscription_past_due",
                condition=Q(status__in=["past_due", "suspended"]),
            ),
            models.Index(
                fields=["stop_requested_at"],
                name="subscription_to_stop",
                condition=Q(stop_requested_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.plan_slug} of {self.customer_id} ({self.status})"

    @property
    def zone(self) -> ZoneInfo:
        """The time zone its periods are counted in."""
        return ZoneInfo(self.time_zone)

    @property
    def unit(self) -> Asset:
        """The asset it is priced in."""
        return asset(self.asset)

    @property
    def price(self) -> Money:
        """What the next period costs as things stand, before tax and discounts."""
        return Money(self.price_minor, self.unit)

    @property
    def access_ends_at(self) -> datetime | None:
        """When access ends unless it is renewed; None while the rail renews it by itself."""
        if self.cancels_at is not None:
            return self.cancels_at
        return None if self.renews else self.period_ends_at

    def gives_access(self, at: datetime) -> bool:
        """Whether its limits and features are the customer's at that moment."""
        if self.status in (SubscriptionStatus.SUSPENDED, SubscriptionStatus.ENDED):
            return False
        ends_at = self.access_ends_at
        return not self.frozen_by and (ends_at is None or at < ends_at)


class PeriodKind(models.TextChoices):
    """What a stretch of time was billed as."""

    PAID = "paid", "paid"
    FREE = "free", "nothing to pay"
    TRIAL = "trial", "trial"


class SubscriptionPeriod(models.Model):
    """A stretch of a subscription that was billed, once, and the money it was bought with.

    Stretches of one subscription never overlap (a trigger sees to it). A plan change cuts one
    short and carries what is unearned of its money to the next. Every cent of ``cost_minor`` is
    deferred until it is recognised, carried on or refunded.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    subscription = models.ForeignKey(Subscription, models.PROTECT, related_name="periods")
    # What billed it: the provider's invoice, or our order.
    source = models.CharField(max_length=128)
    kind = models.CharField(max_length=5, choices=PeriodKind)
    plan_slug = models.CharField(max_length=64)
    interval = models.CharField(max_length=8, choices=Interval)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    # What it was billed until, before a plan change or a refund cut it short.
    billed_until_at = models.DateTimeField()
    order = models.OneToOneField(Order, models.PROTECT, null=True, related_name="period")
    asset = models.CharField(max_length=16)
    # The order's net and what earlier stretches carried here.
    cost_minor = models.BigIntegerField(default=0)
    carried_in_minor = models.BigIntegerField(default=0)
    carried_out_minor = models.BigIntegerField(default=0)
    carried_to = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="carried_from", db_index=False
    )
    recognised_minor = models.BigIntegerField(default=0)
    refunded_minor = models.BigIntegerField(default=0)
    # Counts bookings of revenue, so that each has a key of its own.
    revenue_bookings = models.IntegerField(default=0)
    recognised_at = models.DateTimeField()
    # Refunds and lost disputes that ended it.
    revoked_by = ArrayField(models.CharField(max_length=80), default=list)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "source"], name="period_billed_once_per_source"
            ),
            models.CheckConstraint(
                condition=Q(starts_at__lte=F("ends_at"), ends_at__lte=F("billed_until_at")),
                name="period_is_cut_never_stretched",
            ),
            models.CheckConstraint(
                condition=Q(
                    carried_in_minor__gte=0,
                    cost_minor__gte=F("carried_in_minor"),
                    carried_out_minor__gte=0,
                    recognised_minor__gte=0,
                    refunded_minor__gte=0,
                ),
                name="period_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(
                    cost_minor__gte=F("recognised_minor")
                    + F("refunded_minor")
                    + F("carried_out_minor")
                ),
                name="a_period_earns_no_more_than_it_cost",
            ),
        ]
        indexes = [
            models.Index(
                fields=["recognised_at"],
                name="period_with_deferred_money",
                condition=Q(
                    cost_minor__gt=F("recognised_minor")
                    + F("refunded_minor")
                    + F("carried_out_minor")
                ),
            ),
            models.Index(fields=["carried_to"], name="period_carried_to"),
        ]

    def __str__(self) -> str:
        return f"{self.plan_slug} {self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"

    @property
    def unit(self) -> Asset:
        """The asset of its money."""
        return asset(self.asset)

    @property
    def deferred_minor(self) -> int:
        """Money that is neither earned, nor carried on, nor given back."""
        gone = self.recognised_minor + self.refunded_minor + self.carried_out_minor
        return self.cost_minor - gone

    @property
    def kept_minor(self) -> int:
        """Money that is still this period's, earned or not."""
        return self.cost_minor - self.refunded_minor - self.carried_out_minor

    def earned_minor(self, at: datetime) -> int:
        """What has been earned of ``kept_minor`` by then: cumulative by the second, floored."""
        if at >= self.ends_at:
            return self.kept_minor
        if at <= self.starts_at:
            return 0
        past, length = at - self.starts_at, self.ends_at - self.starts_at
        # In whole microseconds: a float would lose units of what has many decimals.
        due = (self.cost_minor - self.carried_out_minor) * (past // _TICK) // (length // _TICK)
        return min(due, self.kept_minor)
