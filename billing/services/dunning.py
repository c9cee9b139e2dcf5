"""Dunning: a renewal failed. Reminders, then suspension when the days of grace are over.

The rail tries the card again by itself; whatever is paid restores the subscription at once.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from billing import catalogue
from billing.models import FAILING, Subscription, SubscriptionStatus
from billing.services import entitlements, notifiers, subscriptions
from common import clock


def run(limit: int = 1000) -> int:
    """Send the reminders and make the suspensions that are due; returns how many acts."""
    failing = Subscription.objects.filter(_is_due()).order_by("past_due_since")
    return sum(step(pk) for pk in list(failing.values_list("pk", flat=True)[:limit]))


def _is_due() -> Q:
    """Who is to be reminded or suspended: those who were long ago keep nobody waiting."""
    now = clock.now()
    grace = timedelta(days=suspends_at_days())
    due = Q(status=SubscriptionStatus.PAST_DUE, past_due_since__lte=now - grace)
    for sent, day in enumerate(sorted(catalogue.current().dunning_remind_days)):
        passed = now - timedelta(days=day)
        due |= Q(status__in=FAILING, reminders=sent, past_due_since__lte=passed)
    return due


@transaction.atomic
def step(subscription_id: UUID) -> int:
    """What is due for one subscription today, each once per failure."""
    subscription = subscriptions.lock(subscription_id)
    if subscription.status not in FAILING or subscription.past_due_since is None:
        return 0
    failing_for = clock.now() - subscription.past_due_since
    return _remind(subscription, failing_for) + _suspend(subscription, failing_for)


def suspends_at_days() -> int:
    """Days of grace after a renewal failed."""
    return catalogue.current().dunning_grace_days


def _remind(subscription: Subscription, failing_for: timedelta) -> int:
    days = catalogue.current().dunning_remind_days
    due = sum(failing_for >= timedelta(days=day) for day in days)
    if due <= subscription.reminders:
        return 0
    # One letter, however many days a sleeping portal missed.
    subscription.reminders = due
    subscription.save(update_fields=["reminders"])
    notifiers.tell("subscription_payment_failed", subscription)
    return 1


def _suspend(subscription: Subscription, failing_for: timedelta) -> int:
    grace = timedelta(days=suspends_at_days())
    if subscription.status == SubscriptionStatus.SUSPENDED or failing_for < grace:
        return 0
    subscription.status = SubscriptionStatus.SUSPENDED
    subscription.save(update_fields=["status"])
    entitlements.changed(subscription.customer_id)
    notifiers.tell("subscription_suspended", subscription)
    return 1
