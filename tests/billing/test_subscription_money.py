"""The money of subscriptions that a rail bills: where it lies, when it is earned, how it goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from billing import selectors
from billing.models import (
    Order,
    Payment,
    PeriodKind,
    SubscriptionPeriod,
    SubscriptionStatus,
    Transfer,
)
from billing.money import USD
from billing.services import (
    cancellations,
    payments,
    refunds,
    renewals,
    subscription_periods,
    subscriptions,
)
from billing.services.rails import RefundAnswer
from common import clock
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import balance_of, differences, stretches
from tests.billing.renewing import (
    BASIC,
    MONTH,
    deferred,
    earn,
    payment_of,
    plan_of,
    refunded,
    subscribed,
    told,
    upgraded,
)
from tests.factories import NOW, make_customer

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def rail(renewing_rail: FakeRenewingRail) -> FakeRenewingRail:
    """The only rail there is."""
    return renewing_rail


@pytest.fixture(autouse=True)
def now(rail: FakeRenewingRail) -> Iterator[FrozenClock]:
    with clock.frozen(NOW) as frozen:
        yield frozen


@pytest.fixture(autouse=True)
def _books_add_up(now: FrozenClock) -> Iterator[None]:
    yield
    assert differences() == []


# -- settling -------------------------------------------------------------------------------------


def test_the_net_is_deferred_and_the_tax_is_tax(rail: FakeRenewingRail) -> None:
    rail.tax_bps = 19_00

    subscription = subscribed(rail, discount_minor=9_99)

    assert (deferred(), balance_of("tax", USD)) == (20_00, 3_80)
    assert stretches(subscription.customer)[0].cost_minor == 20_00


def test_settling_the_same_charge_again_changes_nothing(rail: FakeRenewingRail) -> None:
    subscription = subscribed(rail)
    charge = told(subscription)
    payments.settle(charge)
    before = Transfer.objects.count(), Order.objects.count(), SubscriptionPeriod.objects.count()

    payments.settle(charge)

    assert before == (
        Transfer.objects.count(),
        Order.objects.count(),
        SubscriptionPeriod.objects.count(),
    )


def test_a_renewal_is_an_order_of_its_own_and_never_credits(rail: FakeRenewingRail) -> None:
    subscription = subscribed(rail)

    payment = payments.settle(told(subscription))

    assert payment.order is not None
    assert (payment.order.product_kind, payment.order.external_id) == ("plan", "in_told")
    assert selectors.wallet(subscription.customer) is None
    assert deferred() == 2 * BASIC


def test_a_renewal_for_time_that_is_paid_already_is_unapplied(
    rail: FakeRenewingRail, settings: object
) -> None:
    settings.UNAPPLIED_POLICY = "hold"  # type: ignore[attr-defined]
    subscription = subscribed(rail)
    payments.settle(told(subscription))

    payment = payments.settle(
        told(subscription, invoice_id="in_again", starts_at=subscription.period_ends_at)
    )

    assert payment.order is None
    assert payment.unapplied_reason == "That time of the subscription is paid already."
    assert len(stretches(subscription.customer)) == 2
    refunded(payment)
    assert balance_of("clearing:card", USD) == -2 * BASIC


def test_money_of_a_stranger_for_a_subscription_is_not_its_time(
    rail: FakeRenewingRail, settings: object
) -> None:
    settings.UNAPPLIED_POLICY = "hold"  # type: ignore[attr-defined]
    subscription = subscribed(rail)

    payment = payments.settle(replace(told(subscription), customer=make_customer()))

    assert payment.order is None
    assert len(stretches(subscription.customer)) == 1


def test_a_second_subscription_is_kept_flagged_and_refundable(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    first, second = [subscriptions.start(customer, "basic", "month", rail="card") for _ in "ab"]

    kept, duplicate = rail.pay(first), rail.pay(second)

    assert (kept.is_duplicate, duplicate.is_duplicate) == (False, True)
    refunded(Payment.objects.get(order=second))
    duplicate.refresh_from_db()
    kept.refresh_from_db()
    assert (duplicate.status, kept.status) == (SubscriptionStatus.ENDED, SubscriptionStatus.ACTIVE)
    cancellations.stop(duplicate.pk)
    assert ("stop", duplicate.external_id) in rail.calls


def test_a_trial_costs_nothing_and_is_not_given_twice(
    rail: FakeRenewingRail, settings: object, now: FrozenClock
) -> None:
    from billing import catalogue

    settings.CATALOGUE = catalogue.load({"BASIC_TRIAL_DAYS": "14"})  # type: ignore[attr-defined]
    subscription = subscribed(rail)

    (trial,) = stretches(subscription.customer)
    assert (trial.kind, trial.ends_at, trial.cost_minor) == (PeriodKind.TRIAL, NOW + 14 * DAY, 0)
    assert plan_of(subscription) == "basic"
    assert not Payment.objects.exists()
    now.at = trial.ends_at
    renewed = rail.renew(subscription)
    assert renewed.status == SubscriptionStatus.ACTIVE
    assert deferred() == BASIC
    rail.delete(renewed)
    order = subscriptions.start(subscription.customer, "basic", "month", rail="card")
    assert order.recurring == {"interval": "month", "trial_days": 0}


def test_a_period_that_a_code_made_free_is_delivered_without_a_payment(
    rail: FakeRenewingRail,
) -> None:
    subscription = subscribed(rail, discount_minor=BASIC)

    (free,) = stretches(subscription.customer)
    assert (free.kind, free.cost_minor, plan_of(subscription)) == (PeriodKind.FREE, 0, "basic")
    assert not Payment.objects.exists()
    assert free.order is not None
    assert free.order.total.amount_minor == 0


def test_a_free_period_is_delivered_once(rail: FakeRenewingRail) -> None:
    subscription = subscribed(rail)
    term = told(subscription).term
    assert term is not None
    price = subscription.price

    first = renewals.settle_free(None, term, list_price=price, occurred_at=NOW)
    second = renewals.settle_free(None, term, list_price=price, occurred_at=NOW)

    assert first is not None
    assert second is None
    assert len(stretches(subscription.customer)) == 2


# -- earning --------------------------------------------------------------------------------------


def test_it_is_earned_by_the_second_and_cumulative_to_the_cent(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscribed(rail)
    booked = []
    for day in range(1, 31):
        now.at = NOW + day * DAY
        booked.append(earn())

    assert booked == [BASIC * day // 30 for day in range(1, 31)]
    assert deferred() == 0


def test_days_that_nobody_booked_are_booked_at_once(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.at = subscription.period_ends_at + 3 * DAY

    assert subscription_periods.recognise_due() == 1
    assert subscription_periods.recognise_due() == 0

    assert balance_of("sales", USD) == BASIC


def test_nothing_is_booked_more_than_once_a_day(rail: FakeRenewingRail, now: FrozenClock) -> None:
    subscribed(rail)
    now.move(DAY)
    assert subscription_periods.recognise_due() == 1
    now.move(timedelta(hours=23))

    assert subscription_periods.recognise_due() == 0


# -- changing the plan ----------------------------------------------------------------------------


def test_an_upgrade_carries_what_is_unearned_to_the_new_plan(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)
    upgraded(subscription)

    first, second = stretches(subscription.customer)
    earned = BASIC // 3
    assert (first.carried_out_minor, first.carried_to) == (BASIC - earned, second)
    assert second.cost_minor == payment_of(subscription, 1).net_minor + BASIC - earned
    assert deferred() == BASIC + payment_of(subscription, 1).net_minor
    now.at = subscription.period_ends_at
    assert earn() == BASIC + payment_of(subscription, 1).net_minor
    assert deferred() == 0


def test_an_upgrade_to_a_year_begins_a_year(rail: FakeRenewingRail, now: FrozenClock) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)

    upgraded(subscription, "premium", "year")

    year = stretches(subscription.customer)[-1]
    assert (year.starts_at, year.ends_at) == (now.at, now.at.replace(year=now.at.year + 1))


# -- refunds --------------------------------------------------------------------------------------


def test_a_refund_of_what_is_unearned_ends_it_and_stops_the_rail(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    rail.tax_bps = 20_00
    subscription = subscribed(rail)
    now.move(15 * DAY)

    answer = refunded(payment_of(subscription))

    subscription.refresh_from_db()
    assert answer.state == "succeeded"
    assert (subscription.status, plan_of(subscription)) == (SubscriptionStatus.ENDED, "free")
    assert subscription.stop_requested_at is not None
    assert payment_of(subscription).refunded_minor == 18_00  # 15.00 and its tax
    assert (earn(), deferred()) == (14_99, 0)


def test_a_small_refund_leaves_time_and_pace_alone(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)

    refunded(payment_of(subscription), 5_00)

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert earn() == BASIC // 3
    now.at = subscription.period_ends_at
    assert (earn(), deferred()) == (BASIC - 5_00, 0)


def test_a_forced_refund_takes_what_was_earned_too(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(20 * DAY)
    earn()

    refunded(payment_of(subscription), BASIC, forced=True)

    assert (earn(), deferred(), balance_of("clearing:card", USD)) == (0, 0, 0)


def test_a_refund_after_the_time_was_used_ends_nothing(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.at = subscription.period_ends_at
    rail.renew(subscription)
    earn()

    refunded(payment_of(subscription), BASIC, forced=True)

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert plan_of(subscription) == "basic"


def test_while_a_refund_of_the_rest_is_on_its_way_access_is_shut(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(DAY)
    refund = refunds.request(payment_of(subscription).pk, reason="asked")

    shut = plan_of(subscription)
    refunds.record(refund.pk, RefundAnswer("re_1", "failed", "no"))

    subscription.refresh_from_db()
    assert (shut, plan_of(subscription)) == ("free", "basic")
    assert subscription.frozen_by == []


def test_a_booked_refund_that_fails_gives_time_and_money_back(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(DAY)
    refund = refunds.request(payment_of(subscription).pk, reason="asked")
    refunds.record(refund.pk, RefundAnswer("re_1", "succeeded"))
    now.move(DAY)

    refunds.record(refund.pk, RefundAnswer("re_1", "failed", "bounced"))

    subscription.refresh_from_db()
    assert plan_of(subscription) == "basic"
    assert subscription.access_ends_at == subscription.period_ends_at == NOW + MONTH
    now.at = NOW + MONTH
    assert (earn(), deferred()) == (BASIC, 0)


def test_refunding_the_first_payment_of_an_upgraded_one_takes_carried_money(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(15 * DAY)
    upgraded(subscription)
    first, second = payment_of(subscription), payment_of(subscription, 1)
    earn()

    refunded(first, 10_00)

    assert [period.refunded_minor for period in stretches(subscription.customer)] == [0, 10_00]
    assert plan_of(subscription) == "premium"
    assert deferred() == second.amount_minor + BASIC - BASIC // 2 - 10_00


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_both_payments_of_an_upgraded_one_can_go_back_whole(
    rail: FakeRenewingRail, now: FrozenClock, order: tuple[int, int]
) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)
    upgraded(subscription)
    now.move(5 * DAY)
    earn()

    for number in order:
        payment = payment_of(subscription, number)
        refunded(payment, payment.amount_minor, forced=True)

    assert (earn(), deferred(), balance_of("clearing:card", USD)) == (0, 0, 0)
