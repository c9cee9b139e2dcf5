"""Prepaid time: what a better plan costs for the rest of it, and what happens when it is over."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from billing.models import Subscription, SubscriptionStatus
from billing.money import Money, share_half_even
from billing.plans import Offer
from billing.services import subscriptions
from billing.services.renewing import ChangeCost
from common import clock


def cost_of_change(subscription: Subscription, offer: Offer, at: datetime) -> ChangeCost:
    """The difference of the two prices for the time that is left, period by period.

    Each share is rounded half-even by the second, as the rails that renew do it.
    """
    unused = rest = 0
    for period in subscription.periods.filter(ends_at__gt=at).order_by("starts_at"):
        length = round((period.ends_at - period.starts_at).total_seconds())
        left = round((period.ends_at - max(at, period.starts_at)).total_seconds())
        if length:
            unused += share_half_even(subscription.price_minor, left, length)
            rest += share_half_even(offer.price.amount_minor, left, length)
    unit = offer.price.asset
    due = Money(max(rest - unused, 0), unit)
    parts = (
        (f"Unused time of {subscription.plan_slug}", Money(-unused, unit)),
        (f"The rest of the time as {offer.plan.name}", Money(rest, unit)),
    )
    return ChangeCost(parts, due, Money(0, unit), due, subscription.period_ends_at)


def end_over(limit: int = 500) -> int:
    """End prepaid subscriptions whose time is over; returns how many."""
    over = Subscription.objects.filter(renews=False, period_ends_at__lte=clock.now()).exclude(
        status=SubscriptionStatus.ENDED
    )
    ids = list(over.order_by("period_ends_at").values_list("pk", flat=True)[:limit])
    return sum(_end(pk) for pk in ids)


@transaction.atomic
def _end(subscription_id: UUID) -> bool:
    subscription = subscriptions.lock(subscription_id)
    if subscription.period_ends_at > clock.now():  # one more period was paid meanwhile
        return False
    subscriptions.end(subscription, at=subscription.period_ends_at, stop_rail=False)
    return True
