"""Many at once on one customer's prepaid time: real threads, each order taken once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from accounts.models import Customer
from billing.models import Order, Payment, Subscription
from billing.rails.wallet import paying
from billing.services import fulfilment, plan_changes, refunds
from common import clock
from tests.billing.prepaid import (
    BASIC,
    ONE,
    PREMIUM,
    bought,
    differences,
    only_subscription,
    ordered,
    rich,
    spendable,
    stretches,
)
from tests.factories import NOW
from tests.ledger.threads import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("wallet_rail"),
]

THREADS = 8
ALL = 10**6 * ONE


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield
        assert differences() == []


def kinds(answers: list[object]) -> Counter[str]:
    return Counter(type(answer).__name__ for answer in answers)


def pay(customer: Customer, order: Order) -> partial[Payment]:
    return partial(paying.pay, customer, order.pk)


def test_one_order_from_many_devices_is_one_debit() -> None:
    customer = rich()
    order = ordered(customer)

    answers = at_once([pay(customer, order)] * THREADS)

    assert kinds(answers) == {"Payment": THREADS}
    assert len({answer.pk for answer in answers}) == 1
    assert spendable(customer) == ALL - BASIC


def test_many_first_orders_make_one_subscription() -> None:
    customer = rich()
    orders = [ordered(customer) for _ in range(THREADS)]

    answers = at_once([pay(customer, order) for order in orders])

    assert kinds(answers) == {"Payment": 1, "AlreadySubscribed": THREADS - 1}
    assert spendable(customer) == ALL - BASIC
    assert Subscription.objects.filter(customer=customer).count() == 1


def test_many_extensions_follow_one_another() -> None:
    customer = rich()
    bought(customer)
    orders = [ordered(customer) for _ in range(THREADS)]

    answers = at_once([pay(customer, order) for order in orders])

    assert kinds(answers) == {"Payment": THREADS}
    periods = stretches(customer)
    assert [one.starts_at for one in periods[1:]] == [one.ends_at for one in periods[:-1]]
    assert len(periods) == THREADS + 1
    assert only_subscription(customer).period_ends_at == periods[-1].ends_at


def test_credits_for_one_order_pay_one_of_two() -> None:
    customer = rich(2 * BASIC)
    bought(customer)
    orders = [ordered(customer) for _ in range(THREADS)]

    answers = at_once([pay(customer, order) for order in orders])

    assert kinds(answers) == {"Payment": 1, "InsufficientFunds": THREADS - 1}
    assert spendable(customer) == 0


def test_an_extension_and_a_change_at_once_never_mix_prices() -> None:
    for _ in range(4):
        customer = rich()
        bought(customer)
        extension = ordered(customer)
        quote = plan_changes.quote(customer, "premium", "month")
        change = plan_changes.confirm(customer, quote.token, placed_by=None).order
        assert change is not None

        answers = at_once([pay(customer, extension), pay(customer, change)])

        assert kinds(answers) == {"Payment": 1, "Conflict": 1}
        spent = ALL - spendable(customer)
        assert spent in (2 * BASIC, PREMIUM)
        plan = only_subscription(customer).plan_slug
        assert plan == ("premium" if spent == PREMIUM else "basic")


def test_confirming_changes_while_another_is_paid_is_never_a_deadlock() -> None:
    customer = rich()
    bought(customer)
    quotes = [plan_changes.quote(customer, slug, "month") for slug in ("premium", "enterprise")]
    first = plan_changes.confirm(customer, quotes[0].token, placed_by=None).order
    assert first is not None

    answers = at_once(
        [pay(customer, first)] * 2
        + [partial(plan_changes.confirm, customer, quotes[1].token, placed_by=None)] * 4
        + [partial(fulfilment.deliver, first.pk)] * 2
    )

    paid = [one for one in answers if isinstance(one, Payment)]
    assert len({one.pk for one in paid}) <= 1
    spent = ALL - spendable(customer)
    assert spent == BASIC + sum(one.amount_minor for one in paid[:1])


def test_a_refund_that_many_workers_send_comes_back_once() -> None:
    customer = rich()
    refund = refunds.request(bought(customer).pk, reason="asked")

    at_once([partial(refunds.send, refund.pk)] * 4)

    assert spendable(customer) == ALL
    with clock.frozen(NOW + timedelta(minutes=5)):
        refunds.send(refund.pk)
    assert spendable(customer) == ALL
