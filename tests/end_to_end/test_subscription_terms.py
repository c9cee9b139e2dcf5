"""Trials, codes, included credits and disputed renewals, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import stripe
from django.test import override_settings

from billing import catalogue
from billing.models import Payment, PeriodKind, Subscription, SubscriptionStatus
from billing.money import CREDIT
from billing.services import plan_changes
from common import clock
from tests import live
from tests.end_to_end import books
from tests.end_to_end.subscribers import advance, subscribe
from tests.end_to_end.till import Till

TERMS = {"PREMIUM_TRIAL_DAYS": "14", "BASIC_INCLUDED_CREDITS": "300"}


@pytest.fixture(scope="module")
def portal() -> Iterator[live.Portal]:
    """A portal that sells on these terms."""
    with live.Portal(env=TERMS) as running:
        yield running


@pytest.fixture(autouse=True)
def terms() -> Iterator[None]:
    """What is sold in this process as well."""
    with override_settings(CATALOGUE=catalogue.load(TERMS)):
        yield


def _kinds(subscription: Subscription) -> list[str]:
    return list(subscription.periods.order_by("starts_at").values_list("kind", flat=True))


def test_a_trial_costs_nothing_and_then_becomes_a_paid_period(till: Till) -> None:
    customer = till.customer()

    subscription = subscribe(till, customer, "premium")
    assert subscription.status == SubscriptionStatus.TRIALING
    assert not Payment.objects.filter(customer=customer).exists()
    assert subscription.gives_access(clock.now())
    advance(till, timedelta(days=16))

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert _kinds(subscription) == [PeriodKind.TRIAL, PeriodKind.PAID]
    assert Payment.objects.get(customer=customer).amount == subscription.price
    books.assert_agree(till)


def test_a_trial_is_for_those_who_never_subscribed(till: Till) -> None:
    customer = till.customer()
    first = subscribe(till, customer, "basic")
    payment = Payment.objects.get(customer=customer)
    till.refund(payment)

    again = subscribe(till, customer, "premium")

    first.refresh_from_db()
    assert first.status == SubscriptionStatus.ENDED
    assert _kinds(again) == [PeriodKind.PAID]
    books.assert_agree(till)


def test_a_better_plan_during_the_trial_costs_nothing_until_it_is_over(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "premium")

    quote = plan_changes.quote(customer, "enterprise", "month")
    plan_changes.confirm(customer, quote.token, placed_by=None)
    till.settle_down()

    subscription.refresh_from_db()
    assert (quote.total.amount_minor, subscription.plan_slug) == (0, "enterprise")
    assert subscription.status == SubscriptionStatus.TRIALING
    advance(till, timedelta(days=16))
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert Payment.objects.get(customer=customer).amount == quote.next_price
    books.assert_agree(till)


def test_a_smaller_plan_chosen_during_the_trial_leaves_the_trial_alone(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "premium")
    trial_ends_at = subscription.trial_ends_at

    quote = plan_changes.quote(customer, "basic", "month")
    plan_changes.confirm(customer, quote.token, placed_by=None)
    till.settle_down()

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.TRIALING
    assert subscription.trial_ends_at == trial_ends_at
    advance(till, timedelta(days=16))
    subscription.refresh_from_db()
    assert subscription.plan_slug == "basic"
    assert Payment.objects.get(customer=customer).amount == quote.next_price
    books.assert_agree(till)


def test_a_smaller_plan_keeps_a_code_that_lasts(till: Till) -> None:
    coupon = stripe.Coupon.create(percent_off=50, duration="forever")
    stripe.PromotionCode.create(promotion={"type": "coupon", "coupon": coupon.id}, code="HALF")
    customer = till.customer()
    subscribe(till, customer, "basic", "year", promotion_code="HALF")

    quote = plan_changes.quote(customer, "basic", "month")
    plan_changes.confirm(customer, quote.token, placed_by=None)
    advance(till, timedelta(days=367), step=timedelta(days=183))

    newest = Payment.objects.filter(customer=customer).order_by("-occurred_at")[0]
    assert newest.amount_minor == 14_99  # the discount is rounded: $15.00 of $29.99
    books.assert_agree(till)


def test_a_code_takes_its_share_off_the_first_period_only(till: Till) -> None:
    coupon = stripe.Coupon.create(percent_off=33.33, duration="once")
    stripe.PromotionCode.create(promotion={"type": "coupon", "coupon": coupon.id}, code="THIRD")
    customer = till.customer()

    subscription = subscribe(till, customer, "basic", promotion_code="THIRD")
    advance(till, timedelta(days=33))

    first, second = Payment.objects.filter(customer=customer).order_by("occurred_at")
    assert first.amount_minor < second.amount_minor == subscription.price_minor
    assert len(_kinds(subscription)) == 2
    books.assert_agree(till)


def test_a_code_for_all_of_it_delivers_without_a_payment(till: Till) -> None:
    coupon = stripe.Coupon.create(percent_off=100, duration="once")
    stripe.PromotionCode.create(promotion={"type": "coupon", "coupon": coupon.id}, code="ALL")
    customer = till.customer()

    subscription = subscribe(till, customer, "basic", promotion_code="ALL")

    assert _kinds(subscription) == [PeriodKind.FREE]
    assert not Payment.objects.filter(customer=customer).exists()
    advance(till, timedelta(days=33))
    assert _kinds(subscription) == [PeriodKind.FREE, PeriodKind.PAID]
    books.assert_agree(till)


def test_included_credits_come_with_each_period_and_go_with_it(till: Till) -> None:
    customer = till.customer()

    subscribe(till, customer, "basic")
    assert till.spendable(customer) == 300 * CREDIT.unit_minor
    advance(till, timedelta(days=33))
    till.portal.manage("shell", "-c", "from billing import tasks; tasks.expire_lots()")

    assert till.spendable(customer) == 300 * CREDIT.unit_minor
    books.assert_agree(till)


def test_a_dispute_shuts_access_while_it_is_open_and_winning_it_opens_it_again(
    till: Till,
) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "basic")
    payment = Payment.objects.get(customer=customer)
    intent = stripe.PaymentIntent.retrieve(payment.external_id)

    dispute = till.control(f"charges/{intent.latest_charge}/dispute")
    till.settle_down()
    subscription.refresh_from_db()
    assert not subscription.gives_access(clock.now())
    till.control(f"disputes/{dispute['id']}/settle", outcome="won")
    till.settle_down()

    subscription.refresh_from_db()
    assert subscription.gives_access(clock.now())
    books.assert_agree(till)


def test_losing_a_dispute_ends_the_subscription(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "basic")
    payment = Payment.objects.get(customer=customer)
    intent = stripe.PaymentIntent.retrieve(payment.external_id)

    dispute = till.control(f"charges/{intent.latest_charge}/dispute")
    till.settle_down()
    till.control(f"disputes/{dispute['id']}/settle", outcome="lost")
    till.settle_down()

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ENDED
    assert stripe.Subscription.retrieve(subscription.external_id).status == "canceled"
    books.assert_agree(till)
