"""Subscriptions: started by an order, kept as their rail says, ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.models import Customer, User
from billing import catalogue
from billing.errors import AlreadySubscribed
from billing.models import FAILING, PLAN, Order, Subscription, SubscriptionStatus
from billing.plans import Offer
from billing.services import entitlements, notifiers, orders, plan_offers, rails
from common import clock, doorbell

STOP_TASK = "billing.stop_subscription"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a rail says of one subscription today.

    ``next_plan`` and ``next_interval`` are what it goes on as, if that is another plan.
    """

    rail: str
    external_id: str
    status: SubscriptionStatus
    plan_slug: str
    interval: str
    price_minor: int
    anchor_at: datetime
    period_starts_at: datetime
    period_ends_at: datetime
    trial_ends_at: datetime | None = None
    cancels_at: datetime | None = None
    ended_at: datetime | None = None
    failing_since: datetime | None = None
    next_plan: str = ""
    next_interval: str = ""


@transaction.atomic
def start(
    customer: Customer,
    slug: str,
    interval: str,
    *,
    rail: str,
    placed_by: User | None = None,
    return_url: str = "",
    cause: UUID | None = None,
) -> Order:
    """Order a plan's first period, or on a rail that does not renew one more of the same.

    The same ``cause`` gets the same order. Raises AlreadySubscribed when another live
    subscription would be paid beside it, and InvalidInput for a plan that is not sold that way.
    """
    wait_for_turn(customer)
    if cause is not None:
        first = Order.objects.filter(pk=cause, customer=customer).first()
        if first is not None:
            return first
    way = rails.named(rail)
    offer = plan_offers.find(slug, interval, way.assets)
    known = next(iter(live(customer)), None)
    if known is not None and not _extends(known, offer.plan.slug, interval, way):
        raise AlreadySubscribed
    days = trial_days(customer, offer, renews=way.renews)
    item = plan_offers.sold(offer, renews=way.renews, trial_days=days)
    if known is not None:
        item.snapshot["extends"] = str(known.pk)
    return orders.open_order(
        customer, item, rail=rail, placed_by=placed_by, return_url=return_url, order_id=cause
    )


def wait_for_turn(customer: Customer) -> None:
    """Two acts on one customer's subscriptions wait for each other here."""
    Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)


def live(customer: Customer) -> list[Subscription]:
    """Every subscription of the customer to a plan that has not ended, the oldest first."""
    return list(Subscription.objects.live(clock.now()).filter(customer=customer))


def current(customer: Customer) -> Subscription | None:
    """The live subscription that counts."""
    return best_of(live(customer))


def best_of(found: Sequence[Subscription]) -> Subscription | None:
    """Of live subscriptions the one that counts: of the best plan, then the one paid longest."""
    known = [one for one in found if catalogue.current().has_plan(one.plan_slug)]
    return max(known, key=_worth, default=None)


def _worth(subscription: Subscription) -> tuple[bool, int, datetime]:
    plan = catalogue.current().plan(subscription.plan_slug)
    gives = subscription.gives_access(clock.now())
    return gives, plan.rank, subscription.period_ends_at


def heard(rail: str, external_id: str) -> int | None:
    """How often the rail was heard on a subscription; ask this, then the rail, then ``record``."""
    found = Subscription.objects.filter(rail=rail, external_id=external_id)
    return found.values_list("heard", flat=True).first()


@transaction.atomic
def record(standing: Standing, *, heard_before: int | None) -> bool:
    """Bring our row to what the rail says today; repeating it changes nothing.

    False when somebody else heard the rail since ``heard_before``: what they heard may be newer,
    so ask again. One that we have no payment or trial of is left alone: money makes a
    subscription, not a message.
    """
    subscription = lock_external(standing.rail, standing.external_id)
    if subscription is None:
        return True
    if subscription.heard != (heard_before or 0):
        return False
    subscription.heard += 1
    was = subscription.status
    if was == SubscriptionStatus.ENDED or not subscription.renews:
        # Ended here first, or left to run out: what the rail says of it no longer is this.
        if standing.status == SubscriptionStatus.ENDED:
            subscription.stop_requested_at = None
    else:
        _take_terms(subscription, standing)
        _take_status(subscription, standing)
    subscription.save()
    entitlements.changed(subscription.customer_id)
    if was != subscription.status:
        notifiers.tell(f"subscription_{subscription.status}", subscription)
    return True


def lock_external(rail: str, external_id: str) -> Subscription | None:
    """The subscription of that rail and name, locked until the transaction ends."""
    return (
        Subscription.objects.select_for_update(of=("self",), no_key=True)
        .select_related("customer")
        .filter(rail=rail, external_id=external_id)
        .first()
    )


def lock(subscription_id: UUID) -> Subscription:
    """The subscription, locked until the transaction ends."""
    return (
        Subscription.objects.select_for_update(of=("self",), no_key=True)
        .select_related("customer")
        .get(pk=subscription_id)
    )


def _take_terms(subscription: Subscription, standing: Standing) -> None:
    subscription.plan_slug = standing.plan_slug
    subscription.interval = standing.interval
    subscription.price_minor = standing.price_minor
    subscription.anchor_at = standing.anchor_at
    subscription.period_starts_at = standing.period_starts_at
    subscription.period_ends_at = standing.period_ends_at
    subscription.trial_ends_at = standing.trial_ends_at
    subscription.cancels_at = standing.cancels_at
    subscription.next_plan_slug = standing.next_plan
    subscription.next_interval = standing.next_interval


def _take_status(subscription: Subscription, standing: Standing) -> None:
    """The rail's word, except that one we suspended stays so until it is paid."""
    now = clock.now()
    status = standing.status
    if status in FAILING:
        if subscription.past_due_since is None:
            subscription.past_due_since = standing.failing_since or now
            subscription.reminders = 0
        if subscription.status == SubscriptionStatus.SUSPENDED:
            status = SubscriptionStatus.SUSPENDED
    else:
        subscription.past_due_since = None
        subscription.reminders = 0
    if status == SubscriptionStatus.ENDED:
        subscription.ended_at = subscription.ended_at or standing.ended_at or now
        subscription.stop_requested_at = None
    else:
        subscription.ended_at = None
    subscription.status = status


def end(subscription: Subscription, *, at: datetime, stop_rail: bool) -> None:
    """End a locked subscription now; a rail that renews it is told to stop, after commit."""
    if subscription.status == SubscriptionStatus.ENDED:
        return
    subscription.status = SubscriptionStatus.ENDED
    subscription.ended_at = at
    if stop_rail and subscription.external_id:
        subscription.stop_requested_at = at
        doorbell.ring(STOP_TASK, str(subscription.pk))
    subscription.save(update_fields=["status", "ended_at", "stop_requested_at"])
    entitlements.changed(subscription.customer_id)
    notifiers.tell("subscription_ended", subscription)


def _extends(known: Subscription, slug: str, interval: str, way: rails.Rail) -> bool:
    """Whether one more order of it adds a period to the same prepaid subscription."""
    same = (known.plan_slug, known.interval, known.rail) == (slug, interval, way.name)
    return same and not known.renews and not way.renews


def trial_days(customer: Customer, offer: Offer, *, renews: bool) -> int:
    """For how long it is free at first: only on rails that renew, for who never subscribed."""
    if not renews or Subscription.objects.filter(customer=customer, subject=PLAN).exists():
        return 0
    return offer.plan.trial_days
