"""Acts on subscriptions that come at the wrong moment: no money is taken for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from billing.errors import ChangeNotPossible, QuoteOutdated
from billing.models import Payment, SubscriptionStatus
from billing.services import cancellations, dunning, plan_changes, subscriptions
from common import clock
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.renewing import subscribed
from tests.factories import NOW

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


@pytest.mark.parametrize("plan", ["premium", "basic"])
def test_a_quote_from_before_it_was_cancelled_is_not_confirmed(
    plan: str, rail: FakeRenewingRail
) -> None:
    subscription = subscribed(rail, {"premium": "basic", "basic": "premium"}[plan])
    quote = plan_changes.quote(subscription.customer, plan, "month")
    cancellations.cancel(subscription.customer)

    with pytest.raises(QuoteOutdated):
        plan_changes.confirm(subscription.customer, quote.token, placed_by=None)

    subscription.refresh_from_db()
    assert subscription.cancels_at == subscription.period_ends_at
    assert Payment.objects.count() == 1


def test_those_suspended_long_ago_do_not_keep_others_from_their_turn(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    old, new = subscribed(rail), subscribed(rail)
    rail.fail(old)
    now.move(10 * DAY)
    dunning.run()
    rail.fail(new)

    assert dunning.run(limit=1) == 1
    now.move(8 * DAY)
    assert dunning.run(limit=1) == 2  # reminded and suspended

    new.refresh_from_db()
    assert new.status == SubscriptionStatus.SUSPENDED


def test_a_renewal_charged_after_it_was_ended_is_no_time_of_it(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.move(29 * DAY)
    subscriptions.end(subscription, at=clock.now(), stop_rail=True)
    now.at = subscription.period_ends_at

    rail.renew(subscription)

    late = Payment.objects.order_by("-pk").first()
    assert late is not None
    assert "had ended" in late.unapplied_reason
    assert subscription.periods.count() == 1


def test_a_quote_from_before_the_renewal_is_not_charged_after_it(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    subscription = subscribed(rail)
    now.at = subscription.period_ends_at - timedelta(minutes=2)
    quote = plan_changes.quote(subscription.customer, "premium", "month")
    now.move(timedelta(minutes=3))  # the rail has renewed it, and nobody has told us

    with pytest.raises(ChangeNotPossible):
        plan_changes.confirm(subscription.customer, quote.token, placed_by=None)

    assert Payment.objects.count() == 1
