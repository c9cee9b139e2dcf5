"""A subscription's life through the real services, on a rail that renews by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing.errors import AlreadySubscribed, PaymentDeclined, QuoteOutdated
from billing.models import Payment, PeriodKind, Subscription, SubscriptionStatus
from billing.services import cancellations, plan_changes, subscriptions
from common import clock
from tests.billing.fakes import FakeRenewingRail
from tests.factories import NOW, make_customer

pytestmark = pytest.mark.django_db


def subscribed(
    rail: FakeRenewingRail, *, plan: str = "basic", interval: str = "month"
) -> Subscription:
    """A new customer who subscribed just now."""
    order = subscriptions.start(make_customer(), plan, interval, rail="card")
    return rail.pay(order)


def test_paying_the_first_order_makes_a_subscription_with_one_paid_period(
    renewing_rail: FakeRenewingRail,
) -> None:
    with clock.frozen(NOW):
        subscription = subscribed(renewing_rail)

    period = subscription.periods.get()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert (period.kind, period.starts_at, period.cost_minor) == (PeriodKind.PAID, NOW, 29_99)
    assert period.ends_at == subscription.period_ends_at
    with pytest.raises(AlreadySubscribed):
        subscriptions.start(subscription.customer, "premium", "month", rail="card")


def test_a_renewal_adds_the_next_period_and_a_payment_of_its_own(
    renewing_rail: FakeRenewingRail,
) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribed(renewing_rail)
        frozen.at = subscription.period_ends_at
        renewed = renewing_rail.renew(subscription)

    first, second = renewed.periods.order_by("starts_at")
    assert first.ends_at == second.starts_at
    assert second.ends_at == renewed.period_ends_at
    assert Payment.objects.filter(customer=renewed.customer).count() == 2


def test_an_upgrade_is_charged_as_quoted_and_begins_at_once(
    renewing_rail: FakeRenewingRail,
) -> None:
    renewing_rail.tax_bps = 20_00
    with clock.frozen(NOW) as frozen:
        subscription = subscribed(renewing_rail)
        frozen.move(timedelta(days=10))
        quote = plan_changes.quote(subscription.customer, "premium", "month")
        outcome = plan_changes.confirm(subscription.customer, quote.token, placed_by=None)

    paid = Payment.objects.filter(customer=subscription.customer).order_by("pk").last()
    assert paid is not None
    assert paid.amount == quote.total
    assert outcome.subscription.plan_slug == "premium"
    assert outcome.subscription.period_ends_at == subscription.period_ends_at


def test_a_declined_upgrade_changes_nothing(renewing_rail: FakeRenewingRail) -> None:
    with clock.frozen(NOW):
        subscription = subscribed(renewing_rail)
        quote = plan_changes.quote(subscription.customer, "premium", "month")
        renewing_rail.declines = True
        with pytest.raises(PaymentDeclined):
            plan_changes.confirm(subscription.customer, quote.token, placed_by=None)

    subscription.refresh_from_db()
    assert subscription.plan_slug == "basic"
    assert Payment.objects.filter(customer=subscription.customer).count() == 1


def test_a_quote_that_is_too_old_is_refused(renewing_rail: FakeRenewingRail) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribed(renewing_rail)
        quote = plan_changes.quote(subscription.customer, "premium", "month")
        frozen.move(plan_changes.QUOTE_LASTS + timedelta(seconds=1))
        with pytest.raises(QuoteOutdated):
            plan_changes.confirm(subscription.customer, quote.token, placed_by=None)


def test_a_downgrade_waits_for_the_renewal(renewing_rail: FakeRenewingRail) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribed(renewing_rail, plan="premium")
        quote = plan_changes.quote(subscription.customer, "basic", "month")
        outcome = plan_changes.confirm(subscription.customer, quote.token, placed_by=None)
        assert (outcome.when, outcome.subscription.plan_slug) == ("period_end", "premium")
        assert outcome.subscription.next_plan_slug == "basic"
        frozen.at = subscription.period_ends_at
        renewed = renewing_rail.renew(subscription)

    assert (renewed.plan_slug, renewed.price_minor) == ("basic", 29_99)


def test_a_cancelled_one_can_be_resumed_until_it_ends(renewing_rail: FakeRenewingRail) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribed(renewing_rail)
        assert cancellations.cancel(subscription.customer).cancels_at is not None
        assert cancellations.resume(subscription.customer).cancels_at is None
        cancellations.cancel(subscription.customer)
        frozen.at = subscription.period_ends_at
        ended = renewing_rail.renew(subscription)

    assert ended.status == SubscriptionStatus.ENDED
    assert subscriptions.current(subscription.customer) is None
