"""What tests do with subscriptions at a running portal: subscribe, change cards, let time pass."""

from __future__ import annotations

from datetime import timedelta

from accounts.models import Customer
from billing import tasks
from billing.models import Order, RailCustomer, Subscription
from billing.services import orders, subscriptions
from tests.end_to_end.till import Till

# Saved without complaint, and declined whenever it is charged.
DECLINES_LATER = "4000000000000341"


def order_plan(
    till: Till, customer: Customer, slug: str = "premium", interval: str = "month"
) -> Order:
    """An open order of a plan with its checkout page."""
    order = subscriptions.start(customer, slug, interval, rail="card")
    orders.pay_url(order)
    return order


def subscribe(
    till: Till,
    customer: Customer,
    slug: str = "premium",
    interval: str = "month",
    **how: object,
) -> Subscription:
    """A subscription that is paid and delivered."""
    order = order_plan(till, customer, slug, interval)
    outcome = till.pay(order.external_id, **how)
    assert outcome in ("paid", "free"), outcome
    till.settle_down()
    order.refresh_from_db()
    assert order.delivered_at is not None, (order.status, order.delivery_error)
    return Subscription.objects.get(periods__order=order)


def subscribe_here(
    till: Till, customer: Customer, slug: str = "premium", interval: str = "month", **how: object
) -> Subscription:
    """The same where no worker runs: this process asks the provider itself."""
    order = order_plan(till, customer, slug, interval)
    assert till.pay(order.external_id, **how) in ("paid", "free")
    tasks.refresh_order(str(order.pk))  # as the page does that they come back to
    return Subscription.objects.get(periods__order=order)


def advance(till: Till, time: timedelta, *, step: timedelta = timedelta(days=1)) -> None:
    """Move the time of sandbox and portal on in steps; all that falls due happens on its day."""
    left = time
    while left > timedelta(0):
        part = min(left, step)
        till.control("clock", advance_seconds=int(part.total_seconds()))
        left -= part
    till.settle_down()


def change_card(till: Till, customer: Customer, number: str) -> None:
    """Make another card the one that renewals are charged to."""
    known = RailCustomer.objects.get(rail="card", customer=customer)
    till.control(f"customers/{known.external_id}/card", card=number)
    till.settle_down()
