"""Money and time that a rail billed for a subscription by itself: which order they close."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_noop

from accounts.models import Customer
from billing import catalogue
from billing.models import Order, OrderStatus, Subscription
from billing.money import Money
from billing.services import fulfilment, orders, plan_offers, subscriptions
from billing.services.charges import Charge, Reason, Term
from common.errors import NotFound


def order_for(charge: Charge, term: Term) -> tuple[Order | None, str]:
    """The locked, open order that a subscription's charge closes; None and why there is none.

    The order the customer placed if it fits, else a new one: the money came for time that the
    rail has sold and goes on selling, so it is never left without its subscription.
    """
    _wait_for_turn(charge.customer, term)
    subscription = subscriptions.lock_external(term.rail, term.subscription_id)
    customer = subscription.customer if subscription else charge.customer
    refusal = _refusal(subscription, customer, charge.customer, term)
    if not refusal and subscription is not None and _is_after_the_end(subscription, term):
        refusal = gettext_noop("The subscription had ended before the time that was charged.")
    if refusal or customer is None:
        return None, refusal
    placed = _placed(customer, subscription, term, charge.subtotal_minor)
    order = placed or _new_order(customer, term, Money(charge.subtotal_minor, charge.asset))
    if charge.owed_before_minor:
        order.subtotal_minor += charge.owed_before_minor
        order.save(update_fields=["subtotal_minor"])
    plan_offers.keep_term(order, term)
    return order, ""


@transaction.atomic
def settle_free(
    customer: Customer | None, term: Term, *, list_price: Money, occurred_at: datetime
) -> Order | None:
    """Deliver a stretch that was billed with nothing to pay (a trial, a code), once per invoice.

    None when it is not one of our plans, or is delivered already.
    """
    _wait_for_turn(customer, term)
    subscription = subscriptions.lock_external(term.rail, term.subscription_id)
    owner = subscription.customer if subscription else customer
    if owner is None:
        return None
    if _refusal(subscription, owner, owner, term) or _ordered(owner, term):
        return None
    order = _placed(owner, subscription, term, None) or _new_order(owner, term, list_price)
    plan_offers.keep_term(order, term)
    orders.close(order, discount_minor=order.subtotal_minor, tax_minor=0, paid_at=occurred_at)
    fulfilment.try_deliver(order)
    return order


def _wait_for_turn(payer: Customer | None, term: Term) -> None:
    """The customer is locked before anything of theirs: every act here goes in that order."""
    known = Subscription.objects.filter(rail=term.rail, external_id=term.subscription_id)
    found = known.select_related("customer").first()
    owner = found.customer if found else payer
    if owner is not None:
        subscriptions.wait_for_turn(owner)


def _refusal(
    subscription: Subscription | None,
    customer: Customer | None,
    payer: Customer | None,
    term: Term,
) -> str:
    """Why money for a subscription cannot become time of it; empty when it can."""
    if customer is None:
        return gettext_noop("It is for a subscription of a customer we do not know.")
    if payer is not None and payer != customer:
        return gettext_noop("It was paid by another customer than the one who subscribed.")
    if not catalogue.current().has_plan(term.plan_slug):
        return gettext_noop("It is for a subscription to something that is no plan of ours.")
    if subscription is not None and _is_billed(subscription, term):
        return gettext_noop("That time of the subscription is paid already.")
    return ""


def _is_after_the_end(subscription: Subscription, term: Term) -> bool:
    """Whether it bills time that nobody would get: the rail charged before it heard of the end."""
    over_at = subscription.ended_at
    if over_at is None and not subscription.renews:
        over_at = subscription.period_ends_at
    return term.reason != Reason.FIRST and over_at is not None and term.starts_at >= over_at


def _is_billed(subscription: Subscription, term: Term) -> bool:
    """Whether a renewal is for time that another invoice has billed.

    A change of plan in the very second of the renewal is no other: it gives the rest back.
    """
    others = subscription.periods.exclude(source=term.invoice_id)
    billed = Q(starts_at__lt=term.starts_at) | ~Q(order__snapshot__term__reason=str(Reason.CHANGE))
    return (
        term.reason == Reason.RENEWAL
        and others.filter(
            billed, starts_at__lte=term.starts_at, ends_at__gt=term.starts_at
        ).exists()
    )


def _ordered(customer: Customer, term: Term) -> bool:
    """Whether an order of this invoice is closed already, delivered or not."""
    known = Order.objects.filter(customer=customer, product_kind=plan_offers.KIND)
    return known.filter(snapshot__term__invoice=term.invoice_id).exclude(paid_at=None).exists()


def _placed(
    customer: Customer, subscription: Subscription | None, term: Term, subtotal_minor: int | None
) -> Order | None:
    """The open order that the customer placed for exactly this."""
    order = None
    if term.reason == Reason.CHANGE and subscription is not None:
        order = _open_change(subscription)
    elif term.reason == Reason.FIRST and term.order_id is not None:
        try:
            order = orders.lock(term.order_id)
        except NotFound:
            order = None
    fits = (
        order is not None
        and order.is_open
        and order.customer == customer
        and order.rail == term.rail
        and order.product_kind == plan_offers.KIND
        and (order.product_slug, order.snapshot["interval"]) == (term.plan_slug, term.interval)
        and order.asset == term.asset.code
        and subtotal_minor in (None, order.subtotal_minor)
    )
    return order if fits else None


def _open_change(subscription: Subscription) -> Order | None:
    """The plan change that is under way for a subscription."""
    return (
        Order.objects.select_for_update(of=("self",))
        .select_related("customer")
        .filter(
            customer_id=subscription.customer_id,
            status=OrderStatus.OPEN,
            product_kind=plan_offers.KIND,
            snapshot__change__subscription=str(subscription.pk),
        )
        .order_by("-pk")
        .first()
    )


def _new_order(customer: Customer, term: Term, subtotal: Money) -> Order:
    """An order for what the rail billed by itself: a renewal, a change made elsewhere."""
    item = plan_offers.sold_by_rail(term, subtotal)
    order = orders.open_order(customer, item, rail=term.rail)
    order.external_id = term.invoice_id
    order.save(update_fields=["external_id"])
    return order
