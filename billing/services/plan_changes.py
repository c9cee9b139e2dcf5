"""Changing a plan: quoted to the cent, confirmed, then done now or at the end of the period.

A better plan, or the same for longer, begins now and charges the difference. Anything else is
what the subscription goes on as when the current period is over.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.core import signing
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Customer, User
from billing import catalogue
from billing.errors import (
    ChangeNotPossible,
    NoSubscription,
    PaymentDeclined,
    QuoteOutdated,
)
from billing.models import Order, OrderStatus, Subscription, SubscriptionStatus
from billing.money import Money
from billing.plans import LENGTH_MONTHS, Interval, Offer
from billing.services import orders, plan_offers, prepaid, products, renewing, subscriptions
from common import clock

logger = logging.getLogger(__name__)

SALT = "billing.plan-change"
QUOTE_LASTS = timedelta(minutes=15)
# Nothing is charged or scheduled in the last moments of a period: the rail is about to renew it.
TOO_LATE = timedelta(minutes=1)


class When(StrEnum):
    """When a change takes effect."""

    NOW = "now"
    PERIOD_END = "period_end"


@dataclass(frozen=True, slots=True)
class Quote:
    """What a change would cost. ``token`` confirms exactly this, for a quarter of an hour.

    ``next_price`` is due at ``next_at`` and then per interval, before tax and discounts.
    """

    subscription: Subscription
    offer: Offer
    when: When
    at: datetime
    parts: Sequence[tuple[str, Money]]
    subtotal: Money
    tax: Money
    total: Money
    next_price: Money
    next_at: datetime
    token: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it; ``order`` is set where the difference is still to be paid."""

    subscription: Subscription
    when: When
    order: Order | None = None


def quote(customer: Customer, slug: str, interval: str) -> Quote:
    """What changing to that plan would cost now. Not inside a transaction: asks the rail.

    Raises NoSubscription, ChangeNotPossible, InvalidInput, RailUnavailable.
    """
    subscription = _changeable(customer)
    offer = _offer(subscription, slug, interval)
    now = clock.now().replace(microsecond=0)
    when = _when(subscription, offer)
    if when == When.PERIOD_END:
        nothing = Money(0, offer.price.asset)
        return _signed(
            subscription,
            offer,
            when,
            now,
            renewing.ChangeCost((), nothing, nothing, nothing, subscription.period_ends_at),
        )
    if subscription.renews:
        rail = renewing.rail_of(subscription)
        return _signed(
            subscription, offer, when, now, rail.cost_of_change(subscription, offer, now)
        )
    return _signed(subscription, offer, when, now, prepaid.cost_of_change(subscription, offer, now))


def confirm(customer: Customer, token: str, *, placed_by: User | None) -> Outcome:
    """Do what was quoted: charge exactly that and change, or schedule it. Once per quote.

    Raises QuoteOutdated when the quote is old or the subscription is not what it was,
    PaymentDeclined (nothing changed), RailUnavailable (confirming again goes on with it).
    """
    told = _read(customer, token)
    subscription = _changeable(customer)
    if str(subscription.pk) != told["subscription"]:
        raise QuoteOutdated
    offer = _offer(subscription, told["plan"], told["interval"], may_be_same=True)
    at = datetime.fromisoformat(told["at"])
    if told["when"] == When.PERIOD_END:
        _require_unchanged(subscription, told)
        renewing.rail_of(subscription).change_at_period_end(subscription, offer)
        return _outcome(subscription, When.PERIOD_END)
    order = _order_of_change(customer, subscription, offer, told, at, placed_by)
    if order is not None and order.paid_at is not None:
        return _outcome(subscription, When.NOW)
    if not subscription.renews:
        if order is None:
            raise ChangeNotPossible(_("There is no time left to change."))
        return Outcome(subscription, When.NOW, order)
    _charge(subscription, offer, at, order)
    return _outcome(subscription, When.NOW)


def keep_plan(customer: Customer) -> Subscription:
    """Take back a change that waits for the end of the period; without one, nothing happens."""
    subscription = _changeable(customer)
    if subscription.next_plan_slug:
        renewing.rail_of(subscription).keep_plan(subscription)
        subscription.refresh_from_db()
    return subscription


def settle_left_over(limit: int = 100) -> int:
    """Bring changes whose answer was lost to an end; returns how many were looked at.

    What the rail did is settled; what it did not do is no longer waited for.
    """
    left = Order.objects.filter(
        status=OrderStatus.OPEN,
        product_kind=plan_offers.KIND,
        snapshot__has_key="change",
        created_at__lt=Now() - QUOTE_LASTS,
    ).order_by("pk")[:limit]
    for order in left:
        try:
            _end_left_over(order)
        except Exception:  # whatever is wrong with one, the others are not to wait for it
            logger.exception("change left to the next run", extra={"order_id": str(order.pk)})
    return len(left)


def _end_left_over(order: Order) -> None:
    subscription = Subscription.objects.get(pk=order.snapshot["change"]["subscription"])
    if subscription.renews:
        renewing.rail_of(subscription).refresh_subscription(subscription)
        orders.lapse(order.pk, OrderStatus.FAILED)
    elif products.why_undeliverable(order):  # until then it may be paid on a page of ours
        orders.lapse(order.pk, OrderStatus.EXPIRED)


def _charge(subscription: Subscription, offer: Offer, at: datetime, order: Order | None) -> None:
    try:
        renewing.rail_of(subscription).change_now(subscription, offer, at, order)
    except PaymentDeclined:
        if order is not None:
            orders.lapse(order.pk, OrderStatus.FAILED)
        raise


def _changeable(customer: Customer) -> Subscription:
    subscription = subscriptions.current(customer)
    if subscription is None:
        raise NoSubscription(_("There is no subscription to change. Choose a plan first."))
    if subscription.status in (SubscriptionStatus.PAST_DUE, SubscriptionStatus.SUSPENDED):
        raise ChangeNotPossible(_("Pay what is due first; then the plan can be changed."))
    if subscription.frozen_by:
        raise ChangeNotPossible(_("A payment of this subscription is disputed or being refunded."))
    return subscription


def _offer(
    subscription: Subscription, slug: str, interval: str, *, may_be_same: bool = False
) -> Offer:
    offer = plan_offers.find(slug, interval, [subscription.unit])
    is_same = (slug, interval) == (subscription.plan_slug, subscription.interval)
    if is_same and not may_be_same:
        raise ChangeNotPossible(_("That is the plan you have."))
    return offer


def _when(subscription: Subscription, offer: Offer) -> When:
    """Now for what is better or longer, never for what is shorter: that would owe money back."""
    plan = catalogue.current().plan(subscription.plan_slug)
    before = LENGTH_MONTHS[Interval(subscription.interval)]
    after = LENGTH_MONTHS[offer.interval]
    is_better = offer.plan.rank > plan.rank and after >= before
    is_longer = offer.plan.rank == plan.rank and after > before
    if not subscription.renews:
        if not is_better or offer.interval != subscription.interval:
            raise ChangeNotPossible(
                _("Prepaid time can go on as a better plan only; choose another one when it ends.")
            )
        return When.NOW
    if is_better or is_longer:
        if subscription.cancels_at is not None:
            raise ChangeNotPossible(_("It is set to end. Resume it first; then change the plan."))
        _refuse_if_renewing(subscription)
        return When.NOW
    return When.PERIOD_END


def _refuse_if_renewing(subscription: Subscription) -> None:
    if subscription.renews and subscription.period_ends_at - clock.now() < TOO_LATE:
        raise ChangeNotPossible(_("It renews in a moment. Please try again in a few minutes."))


def _order_of_change(
    customer: Customer,
    subscription: Subscription,
    offer: Offer,
    told: dict[str, str],
    at: datetime,
    placed_by: User | None,
) -> Order | None:
    """The order of this very quote, made the first time; None when nothing is due."""
    subtotal = Money(int(told["subtotal_minor"]), offer.price.asset)
    with transaction.atomic():
        subscriptions.wait_for_turn(customer)
        changes = Order.objects.filter(
            customer=customer, snapshot__change__subscription=str(subscription.pk)
        )
        known = changes.filter(
            snapshot__change__at=at.isoformat(),
            product_slug=offer.plan.slug,
            snapshot__interval=str(offer.interval),
        ).first()
        if known is not None and known.status in (OrderStatus.OPEN, OrderStatus.PAID):
            return known
        _require_unchanged(subscription, told)
        _refuse_if_renewing(subscription)
        if subtotal.amount_minor <= 0:
            return None
        changes.filter(status=OrderStatus.OPEN).update(status=OrderStatus.EXPIRED)
        item = plan_offers.sold_for_change(offer, subscription, due=subtotal, at=at)
        return orders.open_order(customer, item, rail=subscription.rail, placed_by=placed_by)


def _require_unchanged(subscription: Subscription, told: dict[str, str]) -> None:
    if _state(subscription) != told["state"]:
        raise QuoteOutdated


def _outcome(subscription: Subscription, when: When) -> Outcome:
    subscription.refresh_from_db()
    return Outcome(subscription, when)


def _signed(
    subscription: Subscription,
    offer: Offer,
    when: When,
    at: datetime,
    cost: renewing.ChangeCost,
) -> Quote:
    told = {
        "customer": str(subscription.customer_id),
        "subscription": str(subscription.pk),
        "state": _state(subscription),
        "plan": offer.plan.slug,
        "interval": str(offer.interval),
        "when": str(when),
        "at": at.isoformat(),
        "subtotal_minor": str(cost.subtotal.amount_minor),
    }
    return Quote(
        subscription=subscription,
        offer=offer,
        when=when,
        at=at,
        parts=cost.parts,
        subtotal=cost.subtotal,
        tax=cost.tax,
        total=cost.total,
        next_price=offer.price,
        next_at=cost.next_at,
        token=signing.dumps(told, salt=SALT, compress=True),
    )


def _read(customer: Customer, token: str) -> dict[str, str]:
    try:
        told: dict[str, str] = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise QuoteOutdated from None
    quoted_at = datetime.fromisoformat(told["at"])
    is_old = not timedelta(0) <= clock.now() - quoted_at <= QUOTE_LASTS
    if told["customer"] != str(customer.pk) or is_old:
        raise QuoteOutdated
    return told


def _state(subscription: Subscription) -> str:
    """What a quote depends on."""
    return (
        f"{subscription.plan_slug} {subscription.interval} {subscription.price_minor}"
        f" {subscription.period_ends_at.isoformat()} {subscription.status}"
        f" {subscription.cancels_at}"
    )
