"""Subscriptions that a card pays: how tests begin them, and looks at their money."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from billing import selectors
from billing.models import Payment, Subscription
from billing.money import USD
from billing.services import plan_changes, refunds, subscription_periods, subscriptions
from billing.services.charges import Charge, Reason, Term
from billing.services.rails import RefundAnswer
from common import clock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import balance_of
from tests.factories import make_customer

MONTH = timedelta(days=30)  # from 20 November to 20 December
BASIC = 29_99


def subscribed(rail: FakeRenewingRail, plan: str = "basic", **paid: int) -> Subscription:
    order = subscriptions.start(make_customer(), plan, "month", rail="card")
    return rail.pay(order, **paid)


def payment_of(subscription: Subscription, number: int = 0) -> Payment:
    """Its payments in the order they came."""
    return Payment.objects.filter(customer=subscription.customer).order_by("pk")[number]


def told(subscription: Subscription, **changes: object) -> Charge:
    """What the rail would report of the subscription's first invoice."""
    term = Term(
        rail="card",
        subscription_id=subscription.external_id,
        invoice_id="in_told",
        reason=Reason.RENEWAL,
        plan_slug=subscription.plan_slug,
        interval=subscription.interval,
        price_minor=subscription.price_minor,
        asset=USD,
        starts_at=subscription.period_ends_at,
        ends_at=subscription.period_ends_at + MONTH,
        anchor_at=subscription.anchor_at,
        is_trial=False,
        order_id=None,
    )
    term = replace(term, **changes)  # type: ignore[arg-type]
    return Charge(
        rail="card",
        external_id=f"pi_{term.invoice_id}",
        asset=USD,
        amount_minor=BASIC,
        subtotal_minor=BASIC,
        discount_minor=0,
        tax_minor=0,
        occurred_at=clock.now(),
        customer=subscription.customer,
        order_id=None,
        term=term,
    )


def earn() -> int:
    """Book all that is earned by now; returns what sales have."""
    while subscription_periods.recognise_due():
        pass
    return balance_of("sales", USD)


def deferred() -> int:
    return balance_of("deferred", USD)


def refunded(
    payment: Payment, amount_minor: int | None = None, *, forced: bool = False
) -> RefundAnswer:
    refund = refunds.request(payment.pk, reason="asked", amount_minor=amount_minor, forced=forced)
    refunds.send(refund.pk)
    refund.refresh_from_db()
    return RefundAnswer(refund.external_id or "", refund.state)


def upgraded(subscription: Subscription, plan: str = "premium", interval: str = "month") -> None:
    quote = plan_changes.quote(subscription.customer, plan, interval)
    plan_changes.confirm(subscription.customer, quote.token, placed_by=None)
    subscription.refresh_from_db()


def plan_of(subscription: Subscription) -> str:
    return selectors.entitlements(subscription.customer).plan.slug
