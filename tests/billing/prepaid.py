"""Customers who pay plans from credits, and looks at what they have."""

from __future__ import annotations

import itertools
from typing import Any

from accounts.models import Customer
from billing import ledger, selectors
from billing.models import Code, Order, Payment, Refund, Subscription, SubscriptionPeriod
from billing.money import CREDIT, USD
from billing.rails.wallet import paying
from billing.selectors import audit
from billing.services import orders, payments, plan_changes, refunds, subscriptions
from common import clock
from tests.billing.fakes import FakeRail
from tests.factories import make_charge, make_customer

ONE = CREDIT.unit_minor
# 29.99, 99.99 and 499.99 dollars at 500 credits a dollar.
BASIC, PREMIUM, ENTERPRISE = 14_995 * ONE, 49_995 * ONE, 249_995 * ONE

_numbers = itertools.count(1)


def rich(credits_minor: int = 10**6 * ONE, **fields: Any) -> Customer:
    """A customer with that many purchased credits."""
    customer = make_customer(**fields)
    give(customer, credits_minor)
    return customer


def give(customer: Customer, credits_minor: int, *, cost: int = 0, **terms: Any) -> None:
    """A purchased lot; ``cost`` dollars of it lie on deferred, as a payment puts them there."""
    key = f"test:credits:{next(_numbers)}"
    now = clock.now()
    if cost:
        leg = ledger.Leg(
            ledger.system_account("test", USD),
            ledger.system_account("deferred", USD),
            cost,
            Code.FUND,
            f"{key}:fund",
        )
        ledger.post([leg], group=key, occurred_at=now)
    ledger.grant(
        ledger.wallet(customer, CREDIT),
        credits_minor,
        code=Code.PURCHASE,
        key=key,
        group=key,
        occurred_at=now,
        origin=key,
        cost_minor=cost,
        cost_asset=USD if cost else None,
        **terms,
    )


def ordered(customer: Customer, slug: str = "basic", interval: str = "month") -> Order:
    """An order of a plan, to be paid from credits."""
    order = subscriptions.start(customer, slug, interval, rail="wallet")
    orders.pay_url(order)
    return order


def bought(customer: Customer, slug: str = "basic", interval: str = "month") -> Payment:
    """A plan's period, ordered and paid from credits."""
    return paying.pay(customer, ordered(customer, slug, interval).pk)


def only_subscription(customer: Customer) -> Subscription:
    return Subscription.objects.get(customer=customer)


def stretches(customer: Customer) -> list[SubscriptionPeriod]:
    """Every period of the customer's, in order of time; those cut to nothing come first."""
    periods = SubscriptionPeriod.objects.filter(subscription__customer=customer)
    return list(periods.order_by("starts_at", "ends_at"))


def spendable(customer: Customer) -> int:
    return selectors.credit_balance(customer).amount_minor


def balance_of(role: str, asset: Any = CREDIT) -> int:
    """What a system account holds."""
    account = ledger.system_account(role, asset)
    came = sum(account.transfers_in.values_list("amount_minor", flat=True))
    return came - sum(account.transfers_out.values_list("amount_minor", flat=True))


def differences() -> list[str]:
    return [str(difference) for difference in audit.differences()]


def changed(customer: Customer, slug: str) -> Payment:
    """A better plan for the rest of the time, quoted, confirmed and paid."""
    return paying.pay(customer, order_of_change(customer, slug).pk)


def order_of_change(customer: Customer, slug: str) -> Order:
    """A better plan for the rest of the time, quoted and confirmed."""
    quote = plan_changes.quote(customer, slug, "month")
    order = plan_changes.confirm(customer, quote.token, placed_by=None).order
    assert order is not None
    return order


def refunded(payment: Payment, amount_minor: int | None = None, *, forced: bool = False) -> Refund:
    """Asked back and sent: what is unspent unless told."""
    refund = refunds.request(payment.pk, reason="asked", amount_minor=amount_minor, forced=forced)
    refunds.send(refund.pk)
    refund.refresh_from_db()
    return refund


class Chain(FakeRail):
    """A rail that does not renew, and whose money comes whether it is wanted or not."""

    name = "chain"


def came(order: Order) -> Payment:
    """The order's price came over its chain."""
    return payments.settle(make_charge(order, rail="chain", occurred_at=clock.now()))
