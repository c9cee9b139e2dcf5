"""Dunning: a renewal failed. Reminders on their days, suspension after grace, back when paid."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing import catalogue, selectors
from billing.models import Subscription, SubscriptionStatus
from billing.services import dunning, subscriptions
from common import notifiers
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import differences
from tests.factories import make_customer

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rail(renewing_rail: FakeRenewingRail) -> FakeRenewingRail:
    """The only rail there is."""
    return renewing_rail


@pytest.fixture
def failing(rail: FakeRenewingRail, now: FrozenClock) -> Subscription:
    """Its first renewal has failed this moment."""
    order = subscriptions.start(make_customer(), "basic", "month", rail="card")
    subscription = rail.pay(order)
    now.at = subscription.period_ends_at
    rail.declines = True
    return rail.renew(subscription)


def plan_of(subscription: Subscription) -> str:
    return selectors.entitlements(subscription.customer).plan.slug


def status_of(subscription: Subscription) -> str:
    subscription.refresh_from_db()
    return subscription.status


def test_access_stays_for_the_days_of_grace(failing: Subscription, now: FrozenClock) -> None:
    since = now.at
    for days, plan in [(0, "basic"), (6, "basic"), (7, "free"), (20, "free")]:
        now.at = since + days * DAY
        dunning.run()
        assert plan_of(failing) == plan

    assert status_of(failing) == SubscriptionStatus.SUSPENDED


def test_it_reminds_on_its_days_once_each(failing: Subscription, now: FrozenClock) -> None:
    since = now.at
    acts = []
    for hours in range(0, 24 * 7, 6):
        now.at = since + hours * HOUR
        acts += [hours] * dunning.run()
        assert dunning.run() == 0

    assert acts == [0, 3 * 24, 6 * 24]


def test_days_that_were_slept_through_make_one_letter(
    failing: Subscription, now: FrozenClock
) -> None:
    now.move(5 * DAY)

    assert dunning.run() == 1

    failing.refresh_from_db()
    assert failing.reminders == 2


def test_a_long_sleep_reminds_and_suspends_at_once(failing: Subscription, now: FrozenClock) -> None:
    now.move(30 * DAY)

    assert dunning.run() == 2
    assert dunning.run() == 0

    assert status_of(failing) == SubscriptionStatus.SUSPENDED


def test_a_payment_restores_it_at_once(
    rail: FakeRenewingRail, failing: Subscription, now: FrozenClock
) -> None:
    now.move(8 * DAY)
    dunning.run()
    rail.declines = False

    rail.renew(failing)

    assert (status_of(failing), plan_of(failing)) == (SubscriptionStatus.ACTIVE, "basic")
    assert (failing.past_due_since, failing.reminders) == (None, 0)
    assert differences() == []


def test_a_second_failure_is_reminded_of_anew(
    rail: FakeRenewingRail, failing: Subscription, now: FrozenClock
) -> None:
    now.move(4 * DAY)
    dunning.run()
    rail.declines = False
    paid = rail.renew(failing)
    now.at = paid.period_ends_at
    rail.declines = True

    rail.renew(paid)

    assert dunning.run() == 1


def test_what_the_rail_ends_is_over(
    rail: FakeRenewingRail, failing: Subscription, now: FrozenClock
) -> None:
    now.move(3 * DAY)

    rail.delete(failing)

    assert (status_of(failing), plan_of(failing)) == (SubscriptionStatus.ENDED, "free")
    assert dunning.run() == 0


def test_the_rail_saying_it_still_fails_does_not_lift_a_suspension(
    rail: FakeRenewingRail, failing: Subscription, now: FrozenClock
) -> None:
    now.move(8 * DAY)
    dunning.run()

    rail.fail(failing)

    assert status_of(failing) == SubscriptionStatus.SUSPENDED


def test_grace_and_days_are_the_deployments_to_choose(
    failing: Subscription, now: FrozenClock, settings: object
) -> None:
    settings.CATALOGUE = catalogue.load(  # type: ignore[attr-defined]
        {"DUNNING_GRACE_DAYS": "2", "DUNNING_REMIND_DAYS": "1"}
    )
    first = dunning.run()
    now.move(DAY)
    second = dunning.run()
    now.move(DAY)
    third = dunning.run()

    assert (first, second, third) == (0, 1, 1)
    assert status_of(failing) == SubscriptionStatus.SUSPENDED
    assert dunning.suspends_at_days() == 2


def test_who_pays_in_time_is_left_alone(rail: FakeRenewingRail, now: FrozenClock) -> None:
    order = subscriptions.start(make_customer(), "basic", "month", rail="card")
    subscription = rail.pay(order)
    now.move(40 * DAY)

    assert dunning.run() == 0

    assert status_of(subscription) == SubscriptionStatus.ACTIVE


def test_the_customer_is_told_of_each_step(
    failing: Subscription, now: FrozenClock, request: pytest.FixtureRequest
) -> None:
    told: list[str] = []
    notifiers.register("test", lambda what, _about: told.append(what))
    request.addfinalizer(lambda: notifiers.forget("test"))

    dunning.run()
    now.move(7 * DAY)
    dunning.run()

    assert told == [
        "subscription_payment_failed",
        "subscription_payment_failed",
        "subscription_suspended",
    ]
