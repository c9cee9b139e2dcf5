"""Disputes of subscriptions: access is shut, ended and restored, and their money with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from billing.models import Dispute, DisputeState, Payment, SubscriptionStatus, Transfer
from billing.money import USD
from billing.services import cancellations, disputes, plans, subscriptions
from billing.services.disputes import Claim
from common import clock
from common.clock import FrozenClock
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.prepaid import balance_of, differences
from tests.billing.renewing import (
    BASIC,
    MONTH,
    deferred,
    earn,
    payment_of,
    plan_of,
    refunded,
    subscribed,
    upgraded,
)
from tests.factories import NOW, make_customer, make_payment

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


def claim(payment: Payment, state: DisputeState, **changes: int) -> Dispute:
    """The rail's account of a dispute over the whole payment."""
    taken = {"withdrawn_minor": payment.amount_minor, "reinstated_minor": 0} | changes
    told = Claim(
        external_id=f"dp_{payment.pk}",
        state=state,
        provider_status=str(state),
        reason="fraudulent",
        amount_minor=payment.amount_minor,
        withdrawn_minor=taken["withdrawn_minor"],
        reinstated_minor=taken["reinstated_minor"],
        fee_minor=15_00,
        opened_at=NOW,
        evidence_due_at=None,
    )
    return disputes.record(payment.pk, told)


def twice(payment: Payment, state: DisputeState, **changes: int) -> None:
    """Told twice, as rails do; the second time moves nothing."""
    claim(payment, state, **changes)
    moved = Transfer.objects.count()
    claim(payment, state, **changes)
    assert Transfer.objects.count() == moved


def test_an_open_dispute_freezes_access_and_money(rail: FakeRenewingRail, now: FrozenClock) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)
    earn()

    twice(payment_of(subscription), DisputeState.OPEN)

    subscription.refresh_from_db()
    assert (plan_of(subscription), subscription.status) == ("free", SubscriptionStatus.ACTIVE)
    assert (deferred(), balance_of("sales", USD)) == (0, 0)


def test_a_won_dispute_restores_access_and_what_was_earned_meanwhile(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)
    payment = payment_of(subscription)
    claim(payment, DisputeState.OPEN)
    now.move(10 * DAY)

    twice(payment, DisputeState.WON, reinstated_minor=payment.amount_minor)

    subscription.refresh_from_db()
    assert (plan_of(subscription), subscription.renews) == ("basic", True)
    assert earn() == BASIC * 2 // 3


def test_a_lost_dispute_ends_it_and_stops_the_rail(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)
    payment = payment_of(subscription)
    claim(payment, DisputeState.OPEN)

    twice(payment, DisputeState.LOST)

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ENDED
    assert subscription.stop_requested_at is not None
    assert (earn(), deferred()) == (0, 0)


def test_one_that_is_won_after_it_was_lost_runs_until_its_time_is_over(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    payment = payment_of(subscription)
    claim(payment, DisputeState.LOST)
    cancellations.stop(subscription.pk)
    now.move(5 * DAY)

    twice(payment, DisputeState.WON, reinstated_minor=payment.amount_minor)

    subscription.refresh_from_db()
    assert (plan_of(subscription), subscription.renews) == ("basic", False)
    assert subscription.access_ends_at == NOW + MONTH
    now.at = NOW + MONTH
    assert (plan_of(subscription), earn()) == ("free", BASIC)


def test_a_dispute_of_an_old_payment_leaves_the_time_that_runs_alone(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.at = subscription.period_ends_at
    rail.renew(subscription)

    claim(payment_of(subscription), DisputeState.OPEN)
    claim(payment_of(subscription), DisputeState.LOST)

    subscription.refresh_from_db()
    assert (plan_of(subscription), subscription.status) == ("basic", SubscriptionStatus.ACTIVE)


def test_a_dispute_of_the_first_payment_of_an_upgraded_one(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)
    upgraded(subscription)
    payment = payment_of(subscription)
    earn()

    claim(payment, DisputeState.OPEN)
    assert differences() == []
    twice(payment, DisputeState.WON, reinstated_minor=payment.amount_minor)

    assert plan_of(subscription) == "premium"
    now.at = subscription.period_ends_at
    assert earn() == BASIC + payment_of(subscription, 1).amount_minor


def test_a_dispute_over_more_than_is_left_after_a_refund(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    payment = payment_of(subscription)
    refunded(payment, 10_00)
    payment.refresh_from_db()

    claim(payment, DisputeState.OPEN)
    claim(payment, DisputeState.LOST)

    assert (deferred(), balance_of("disputed", USD)) == (0, 0)
    assert balance_of("chargeback_loss", USD) == -10_00


def test_a_dispute_that_outlives_its_period_leaves_the_renewed_one_alone(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(10 * DAY)
    disputed = payment_of(subscription)
    claim(disputed, DisputeState.OPEN)
    assert plan_of(subscription) == "free"

    now.at = subscription.period_ends_at
    rail.renew(subscription)

    subscription.refresh_from_db()
    assert (plan_of(subscription), subscription.frozen_by) == ("basic", [])
    assert disputed.disputes.get().is_frozen


@pytest.mark.parametrize("end", [DisputeState.LOST, DisputeState.WON])
def test_its_end_changes_the_money_of_its_own_period_only(
    rail: FakeRenewingRail, now: FrozenClock, end: DisputeState
) -> None:
    subscription = subscribed(rail)
    disputed = payment_of(subscription)
    claim(disputed, DisputeState.OPEN)
    now.at = subscription.period_ends_at
    rail.renew(subscription)
    now.move(10 * DAY)

    twice(disputed, end, reinstated_minor=BASIC if end == DisputeState.WON else 0)

    subscription.refresh_from_db()
    assert (plan_of(subscription), subscription.status) == ("basic", SubscriptionStatus.ACTIVE)
    assert subscription.renews
    now.at = subscription.period_ends_at
    assert earn() == (2 * BASIC if end == DisputeState.WON else BASIC)


def test_without_a_renewal_access_stays_shut_when_the_disputed_time_is_over(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    claim(payment_of(subscription), DisputeState.OPEN)

    now.at = subscription.period_ends_at
    rail.fail(subscription)

    assert plans.thaw_over() == 0
    assert plan_of(subscription) == "free"


def test_a_second_dispute_of_the_renewed_time_shuts_it_again(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    claim(payment_of(subscription), DisputeState.OPEN)
    now.at = subscription.period_ends_at
    rail.renew(subscription)

    claim(payment_of(subscription, 1), DisputeState.OPEN)
    claim(payment_of(subscription), DisputeState.LOST)

    assert plan_of(subscription) == "free"
    claim(payment_of(subscription, 1), DisputeState.WON, reinstated_minor=BASIC)
    assert plan_of(subscription) == "basic"


def test_prepaid_time_that_is_not_in_question_runs_when_its_turn_comes(now: FrozenClock) -> None:
    with only_rail(FakeRail()):
        customer = make_customer()
        first, _second = (
            make_payment(subscriptions.start(customer, "basic", "month", rail="card"))
            for _ in range(2)
        )
        claim(first, DisputeState.OPEN)
        subscription = subscriptions.live(customer)[0]
        assert (plans.thaw_over(), plan_of(subscription)) == (0, "free")

        now.at = NOW + MONTH + DAY

        assert (plans.thaw_over(), plan_of(subscription)) == (1, "basic")
        assert plans.thaw_over() == 0
