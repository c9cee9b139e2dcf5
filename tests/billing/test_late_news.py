"""Money for a subscription that comes in another order than it was billed in."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import F

from billing import intervals
from billing.models import Order, OrderStatus, Payment, Subscription
from billing.money import USD
from billing.services import payments, subscriptions
from billing.services.charges import Charge, Reason, Term
from common import clock
from tests.billing.fakes import FakeRenewingRail
from tests.factories import NOW, make_customer

pytestmark = pytest.mark.django_db

UTC = ZoneInfo("UTC")
PRICES = {"basic": 29_99, "premium": 99_99}
NEXT = intervals.start_of(NOW, "month", 1, UTC)
AFTER = intervals.start_of(NOW, "month", 2, UTC)
_numbers = itertools.count(1)


def placed() -> Order:
    """An open order of a monthly plan."""
    return subscriptions.start(make_customer(), "basic", "month", rail="card")


def bill(
    order: Order,
    reason: Reason,
    starts_at: datetime,
    ends_at: datetime,
    *,
    plan: str = "basic",
    amount_minor: int = 29_99,
    owed_before_minor: int = 0,
) -> Payment:
    """The rail tells of a paid invoice for that stretch of the order's subscription."""
    number = next(_numbers)
    return payments.settle(
        Charge(
            rail="card",
            external_id=f"pi_late_{number}",
            asset=USD,
            amount_minor=amount_minor + owed_before_minor,
            owed_before_minor=owed_before_minor,
            subtotal_minor=amount_minor,
            discount_minor=0,
            tax_minor=0,
            occurred_at=starts_at,
            customer=order.customer,
            order_id=order.pk,
            term=_term(order, number, reason, (starts_at, ends_at), plan),
        )
    )


def _term(
    order: Order, number: int, reason: Reason, stretch: tuple[datetime, datetime], plan: str
) -> Term:
    return Term(
        rail="card",
        subscription_id=f"sub_{order.pk}",
        invoice_id=f"in_{number}",
        reason=reason,
        plan_slug=plan,
        interval="month",
        price_minor=PRICES[plan],
        asset=USD,
        starts_at=stretch[0],
        ends_at=stretch[1],
        anchor_at=NOW,
        is_trial=False,
        order_id=order.pk,
    )


def stretches(order: Order) -> list[tuple[Any, ...]]:
    """What is billed, and how much of the money each stretch has."""
    subscription = Subscription.objects.get(customer=order.customer)
    found = subscription.periods.exclude(ends_at=F("starts_at"))
    return [
        (one.plan_slug, one.starts_at, one.ends_at, one.kept_minor)
        for one in found.order_by("starts_at")
    ]


def test_a_renewal_that_is_heard_of_after_the_change_within_it_ends_where_the_change_began(
    renewing_rail: FakeRenewingRail,
) -> None:
    middle = NEXT + (AFTER - NEXT) / 2
    order = placed()
    bill(order, Reason.FIRST, NOW, NEXT)

    bill(order, Reason.CHANGE, middle, AFTER, plan="premium", amount_minor=35_00)
    bill(order, Reason.RENEWAL, NEXT, AFTER)

    assert stretches(order) == [
        ("basic", NOW, NEXT, 29_99),
        ("basic", NEXT, middle, 14_99),
        ("premium", middle, AFTER, 35_00 + 15_00),
    ]
    subscription = Subscription.objects.get(customer=order.customer)
    assert subscription.plan_slug == "premium"
    assert not Payment.objects.filter(order=None).exists()


def test_money_that_is_heard_of_late_goes_on_through_every_change_within_it(
    renewing_rail: FakeRenewingRail,
) -> None:
    length = AFTER - NEXT
    order = placed()
    bill(order, Reason.FIRST, NOW, NEXT)

    third, half = NEXT + length / 4, NEXT + length / 2
    bill(order, Reason.CHANGE, third, AFTER, plan="premium", amount_minor=3_00)
    bill(order, Reason.CHANGE, half, AFTER, amount_minor=1_00)
    bill(order, Reason.RENEWAL, NEXT, AFTER)

    kept = stretches(order)
    assert [(one[0], one[1], one[2]) for one in kept[1:]] == [
        ("basic", NEXT, third),
        ("premium", third, half),
        ("basic", half, AFTER),
    ]
    assert [one[3] for one in kept[1:]] == [7_49, 1_00 + 7_50, 2_00 + 1_00 + 15_00]


def test_a_change_in_the_second_of_the_renewal_leaves_its_money_with_the_subscription(
    renewing_rail: FakeRenewingRail,
) -> None:
    order = placed()
    bill(order, Reason.FIRST, NOW, NEXT)

    bill(order, Reason.CHANGE, NEXT, AFTER, plan="premium", amount_minor=70_00)
    bill(order, Reason.RENEWAL, NEXT, AFTER)

    assert stretches(order) == [
        ("basic", NOW, NEXT, 29_99),
        ("premium", NEXT, AFTER, 70_00 + 29_99),
    ]
    assert not Payment.objects.filter(order=None).exists()


def test_the_first_payment_closes_the_order_that_was_placed_even_after_a_renewal(
    renewing_rail: FakeRenewingRail,
) -> None:
    order = placed()

    bill(order, Reason.RENEWAL, NEXT, AFTER)
    with clock.frozen(NEXT + timedelta(hours=1)):
        first = bill(order, Reason.FIRST, NOW, NEXT)

    order.refresh_from_db()
    subscription = Subscription.objects.get(customer=order.customer)
    assert (order.status, first.order) == (OrderStatus.PAID, order)
    assert (subscription.started_at, subscription.period_ends_at) == (NOW, AFTER)
    assert [one[1:3] for one in stretches(order)] == [(NOW, NEXT), (NEXT, AFTER)]


def test_what_was_too_little_to_charge_is_money_of_the_renewal_it_comes_with(
    renewing_rail: FakeRenewingRail,
) -> None:
    order = placed()
    bill(order, Reason.FIRST, NOW, NEXT)

    renewal = bill(order, Reason.RENEWAL, NEXT, AFTER, owed_before_minor=23)

    assert renewal.order is not None
    assert renewal.order.total.amount_minor == renewal.amount_minor == 29_99 + 23
    assert stretches(order)[1] == ("basic", NEXT, AFTER, 29_99 + 23)
