"""Prepaid time: what a better plan costs for the rest of it, and what happens when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from billing.intervals import number_at, start_of
from billing.models import Subscription, SubscriptionStatus
from billing.money import Money, share_half_even
from billing.plans import Offer, rest_title, unused_title
from billing.selectors import plan_name
from billing.services import subscriptions
from billing.services.renewing import ChangeCost
from common import clock

_NOTHING = timedelta(0)


def cost_of_change(subscription: Subscription, offer: Offer, at: datetime) -> ChangeCost:
    """The difference of the two prices for the time that is left, interval by interval.

    Counted by the anchor's intervals, which earlier changes of the plan did not move. Each share
    is rounded half-even by the second, as the rails that renew do it. Time that a refund took
    back is not unused: it is paid for in full.
    """
    unused = rest = 0
    for paid, left, length in _shares_left(subscription, at):
        unused += share_half_even(subscription.price_minor, paid, length)
        rest += share_half_even(offer.price.amount_minor, left, length)
    unit = offer.price.asset
    due = Money(max(rest - unused, 0), unit)
    parts = (
        (unused_title(plan_name(subscription.plan_slug)), Money(-unused, unit)),
        (rest_title(offer.plan.name), Money(rest, unit)),
    )
    return ChangeCost(parts, due, Money(0, unit), due, subscription.period_ends_at)


def _shares_left(subscription: Subscription, at: datetime) -> Iterator[tuple[int, int, int]]:
    """For each interval that is left: its seconds that are paid, those left, and its length."""
    anchor_at, interval, zone = subscription.anchor_at, subscription.interval, subscription.zone
    billed = list(subscription.periods.filter(ends_at__gt=at))
    number = number_at(anchor_at, interval, at, zone)
    starts_at = start_of(anchor_at, interval, number, zone)
    while starts_at < subscription.period_ends_at:
        ends_at = start_of(anchor_at, interval, number + 1, zone)
        since, until = max(at, starts_at), min(ends_at, subscription.period_ends_at)
        shared = (min(until, one.ends_at) - max(since, one.starts_at) for one in billed)
        paid = sum((part for part in shared if part > _NOTHING), _NOTHING)
        yield _seconds(paid), _seconds(until - since), _seconds(ends_at - starts_at)
        number, starts_at = number + 1, ends_at


def _seconds(length: timedelta) -> int:
    return round(length.total_seconds())


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
