"""What answers about plans and subscriptions look like."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.api.shapes import AmountShape, OrderShape
from billing.plans import FEATURE_NAMES, Interval
from billing.selectors import Move, NextKind, Phase
from billing.services.plan_changes import When


class NextStepShape(serializers.Serializer[Any]):
    """What happens next. ``price`` is due then, before tax and discounts."""

    kind = serializers.ChoiceField(choices=NextKind.choices)
    at = serializers.DateTimeField(allow_null=True)
    price = AmountShape(allow_null=True)
    sentence = serializers.CharField(help_text="In the customer's words and time zone.")


class SubscriptionShape(serializers.Serializer[Any]):
    """A subscription, where it stands and what happens next."""

    id = serializers.UUIDField(source="subscription.pk")
    plan = serializers.CharField(source="subscription.plan_slug")
    plan_name = serializers.CharField()
    interval = serializers.ChoiceField(source="subscription.interval", choices=Interval.choices)
    phase = serializers.ChoiceField(choices=Phase.choices)
    gives_access = serializers.BooleanField(
        help_text="Whether the plan's limits and features are the customer's now."
    )
    rail = serializers.CharField(source="subscription.rail")
    renews = serializers.BooleanField(
        source="subscription.renews", help_text="Whether it is charged again by itself."
    )
    price = AmountShape(source="subscription.price")
    next = NextStepShape()
    next_plan = serializers.CharField(
        source="subscription.next_plan_slug",
        help_text="What it goes on as when the period ends; empty when it stays what it is.",
    )
    next_interval = serializers.CharField(source="subscription.next_interval")
    period_starts_at = serializers.DateTimeField(source="subscription.period_starts_at")
    period_ends_at = serializers.DateTimeField(source="subscription.period_ends_at")
    trial_ends_at = serializers.DateTimeField(source="subscription.trial_ends_at", allow_null=True)
    cancels_at = serializers.DateTimeField(source="subscription.cancels_at", allow_null=True)
    past_due_since = serializers.DateTimeField(
        source="subscription.past_due_since", allow_null=True
    )
    grace_ends_at = serializers.DateTimeField(
        allow_null=True, help_text="Until when a failed payment leaves access."
    )
    started_at = serializers.DateTimeField(source="subscription.started_at")
    ended_at = serializers.DateTimeField(source="subscription.ended_at", allow_null=True)
    is_duplicate = serializers.BooleanField(
        source="subscription.is_duplicate",
        help_text="Bought beside another one: it can be ended and refunded.",
    )
    can_change = serializers.BooleanField()
    can_cancel = serializers.BooleanField()
    can_resume = serializers.BooleanField()


class StandingShape(serializers.Serializer[Any]):
    """What a customer has. ``subscription`` is null for the free plan."""

    subscription = SubscriptionShape(source="current", allow_null=True)
    others = SubscriptionShape(many=True, help_text="Live ones beside it: duplicates.")
    last_ended = SubscriptionShape(allow_null=True)


class LimitsShape(serializers.Serializer[Any]):
    """What a plan allows; null is unlimited. Requests and tokens are per month."""

    requests = serializers.IntegerField(allow_null=True)
    tokens = serializers.IntegerField(allow_null=True)
    projects = serializers.IntegerField(allow_null=True)
    deploys = serializers.IntegerField(allow_null=True)


class FeatureShape(serializers.Serializer[Any]):
    """Something a plan has."""

    slug = serializers.CharField(source="*")
    name = serializers.SerializerMethodField()

    def get_name(self, slug: str) -> str:
        """As a person says it."""
        return str(FEATURE_NAMES[slug])


class OfferShape(serializers.Serializer[Any]):
    """A plan's price for an interval over one rail, and what choosing it would mean."""

    interval = serializers.ChoiceField(source="offer.interval", choices=Interval.choices)
    rail = serializers.CharField()
    renews = serializers.BooleanField()
    price = AmountShape(source="offer.price")
    saving = AmountShape(allow_null=True, help_text="Against twelve months of the same.")
    move = serializers.ChoiceField(choices=Move.choices)


class PlanShape(serializers.Serializer[Any]):
    """A plan and how it can be had here."""

    slug = serializers.CharField(source="plan.slug")
    name = serializers.CharField(source="plan.name")
    rank = serializers.IntegerField(source="plan.rank", help_text="Higher is better.")
    is_free = serializers.BooleanField(source="plan.is_free")
    is_current = serializers.BooleanField()
    limits = LimitsShape(source="plan.limits")
    features = FeatureShape(source="plan.features", many=True)
    included_credits = AmountShape(
        source="plan.included_credits", help_text="Credits that come with each period."
    )
    trial_days = serializers.IntegerField(help_text="Days of a trial that are to be had now.")
    offers = OfferShape(source="choices", many=True)


class PlansShape(serializers.Serializer[Any]):
    """Every plan, lowest first."""

    plans = PlanShape(many=True)


class UrlShape(serializers.Serializer[Any]):
    """Where to send the customer."""

    url = serializers.CharField()


class PartShape(serializers.Serializer[Any]):
    """One line of what a change costs."""

    title = serializers.CharField()
    amount = AmountShape()


class QuoteShape(serializers.Serializer[Any]):
    """What a change costs, to the cent. Its ``token`` confirms exactly this until it expires."""

    plan = serializers.CharField(source="offer.plan.slug")
    interval = serializers.ChoiceField(source="offer.interval", choices=Interval.choices)
    when = serializers.ChoiceField(choices=[(when.value, when.value) for when in When])
    at = serializers.DateTimeField(help_text="As of when it was calculated.")
    parts = PartShape(many=True)
    subtotal = AmountShape()
    tax = AmountShape()
    total = AmountShape(help_text="Due now.")
    next_price = AmountShape(help_text="Due at `next_at` and then per interval, before tax.")
    next_at = serializers.DateTimeField()
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class UpgradeShape(serializers.Serializer[Any]):
    """A preview has a ``quote``; a confirmation says ``when`` the change begins.

    ``order`` is set where the difference is still to be paid, at its ``pay_url``.
    """

    quote = QuoteShape(allow_null=True)
    when = serializers.ChoiceField(choices=[(when.value, when.value) for when in When])
    subscription = SubscriptionShape()
    order = OrderShape(allow_null=True)
