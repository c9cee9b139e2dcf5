"""Subscriptions over real HTTP: sessions, signed webhooks, renewals by the clock."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from billing.errors import AlreadySubscribed, PaymentDeclined
from billing.models import Payment, PeriodKind, Subscription, SubscriptionStatus
from billing.services import (
    cancellations,
    dunning,
    overdue,
    plan_changes,
    refunds,
    subscriptions,
)
from common import clock
from tests.end_to_end import books, subscribers
from tests.end_to_end.subscribers import DECLINES_LATER, advance, change_card, subscribe
from tests.end_to_end.till import Till


def _periods(subscription: Subscription) -> list[tuple[str, str]]:
    """What was billed, in order, and that it tiles the time without gap or overlap."""
    found = list(subscription.periods.order_by("starts_at"))
    for one, following in itertools.pairwise(found):
        assert one.ends_at == following.starts_at
    return [(one.plan_slug, one.kind) for one in found]


def test_it_gives_access_at_once_and_renews_every_month(till: Till) -> None:
    subscription = subscribe(till, till.customer())
    assert subscription.gives_access(clock.now())

    advance(till, timedelta(days=95), step=timedelta(days=10))

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert _periods(subscription) == [("premium", PeriodKind.PAID)] * 4
    assert subscription.periods.order_by("-starts_at")[0].ends_at == subscription.period_ends_at
    assert not Payment.objects.filter(customer=subscription.customer, order=None).exists()
    books.assert_agree(till)


def test_an_upgrade_charges_to_the_cent_what_was_shown(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "basic")
    advance(till, timedelta(days=11, hours=7))

    quote = plan_changes.quote(customer, "premium", "month")
    plan_changes.confirm(customer, quote.token, placed_by=None)
    till.settle_down()

    subscription.refresh_from_db()
    paid = Payment.objects.filter(customer=customer).order_by("-pk")[0]
    assert paid.amount == quote.total
    assert subscription.plan_slug == "premium"
    assert _periods(subscription) == [("basic", PeriodKind.PAID), ("premium", PeriodKind.PAID)]
    books.assert_agree(till)


def test_an_upgrade_to_a_year_begins_the_year_now(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "premium")
    advance(till, timedelta(days=3))

    quote = plan_changes.quote(customer, "premium", "year")
    plan_changes.confirm(customer, quote.token, placed_by=None)
    till.settle_down()

    subscription.refresh_from_db()
    assert subscription.interval == "year"
    assert (subscription.period_ends_at - clock.now()).days > 360
    assert len(_periods(subscription)) == 2
    books.assert_agree(till)


def test_a_declined_upgrade_changes_nothing(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "basic")
    change_card(till, customer, DECLINES_LATER)
    quote = plan_changes.quote(customer, "premium", "month")

    with pytest.raises(PaymentDeclined):
        plan_changes.confirm(customer, quote.token, placed_by=None)
    till.settle_down()

    subscription.refresh_from_db()
    assert subscription.plan_slug == "basic"
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert Payment.objects.filter(customer=customer).count() == 1
    books.assert_agree(till)


def test_a_downgrade_waits_for_the_end_of_the_period(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "premium")

    quote = plan_changes.quote(customer, "basic", "month")
    plan_changes.confirm(customer, quote.token, placed_by=None)
    subscription.refresh_from_db()
    assert (quote.total.amount_minor, subscription.plan_slug) == (0, "premium")
    assert subscription.next_plan_slug == "basic"

    advance(till, timedelta(days=33))

    subscription.refresh_from_db()
    assert (subscription.plan_slug, subscription.next_plan_slug) == ("basic", "")
    assert _periods(subscription) == [("premium", PeriodKind.PAID), ("basic", PeriodKind.PAID)]
    books.assert_agree(till)


def test_a_second_downgrade_may_follow_while_the_first_one_s_phase_runs(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer, "enterprise")
    for slug in ("premium", "basic"):
        quote = plan_changes.quote(customer, slug, "month")
        plan_changes.confirm(customer, quote.token, placed_by=None)
        advance(till, timedelta(days=32), step=timedelta(days=16))

    subscription.refresh_from_db()
    plans = [slug for slug, _ in _periods(subscription)]
    assert plans == ["enterprise", "premium", "basic"]
    books.assert_agree(till)


def test_a_cancelled_one_ends_with_its_period_and_a_resumed_one_renews(till: Till) -> None:
    leaving, staying = till.customer(), till.customer()
    ends = subscribe(till, leaving)
    renews = subscribe(till, staying)

    assert cancellations.cancel(leaving).cancels_at == ends.period_ends_at
    cancellations.cancel(staying)
    assert cancellations.resume(staying).cancels_at is None
    advance(till, timedelta(days=33))

    ends.refresh_from_db()
    renews.refresh_from_db()
    assert ends.status == SubscriptionStatus.ENDED
    assert not ends.gives_access(clock.now())
    assert renews.status == SubscriptionStatus.ACTIVE
    assert len(_periods(renews)) == 2
    books.assert_agree(till)


def test_a_failed_renewal_keeps_access_for_the_days_of_grace(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer)
    change_card(till, customer, DECLINES_LATER)

    advance(till, subscription.period_ends_at - clock.now() + timedelta(hours=3))
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.PAST_DUE
    assert subscription.gives_access(clock.now())

    advance(till, timedelta(days=7))
    dunning.run()
    subscription.refresh_from_db()
    assert subscription.status in (SubscriptionStatus.SUSPENDED, SubscriptionStatus.ENDED)
    assert not subscription.gives_access(clock.now())
    books.assert_agree(till)


def test_paying_restores_a_subscription_that_was_past_due(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer)
    change_card(till, customer, DECLINES_LATER)
    advance(till, subscription.period_ends_at - clock.now() + timedelta(hours=3))

    change_card(till, customer, "4242424242424242")
    advance(till, timedelta(days=4))

    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert subscription.past_due_since is None
    assert len(_periods(subscription)) == 2
    books.assert_agree(till)


def test_refunding_the_unearned_share_ends_it_at_the_provider_too(till: Till) -> None:
    customer = till.customer()
    subscription = subscribe(till, customer)
    advance(till, timedelta(days=10))
    payment = Payment.objects.get(customer=customer)

    refund = refunds.request(payment.pk, reason="a test asked for it")
    till.settle_down()

    subscription.refresh_from_db()
    assert 0 < refund.amount_minor < payment.amount_minor
    assert subscription.status == SubscriptionStatus.ENDED
    assert subscription.stop_requested_at is None
    advance(till, timedelta(days=40), step=timedelta(days=20))
    assert Payment.objects.filter(customer=customer).count() == 1
    books.assert_agree(till)


def test_a_second_plan_is_refused_and_one_that_slips_through_is_kept_and_flagged(
    till: Till,
) -> None:
    customer = till.customer()
    phone = subscribers.order_plan(till, customer)
    laptop = subscribers.order_plan(till, customer, "basic")
    assert till.pay(phone.external_id) == "paid"
    assert till.pay(laptop.external_id) == "paid"
    till.settle_down()

    with pytest.raises(AlreadySubscribed):
        subscriptions.start(customer, "premium", "month", rail="card")
    first, second = Subscription.objects.filter(customer=customer).order_by("pk")
    assert [first.is_duplicate, second.is_duplicate] == [False, True]
    best = subscriptions.current(customer)
    assert best is not None
    assert best.plan_slug == "premium"

    extra = Payment.objects.get(order__period__subscription=second)
    till.refund(extra)
    second.refresh_from_db()
    assert second.status == SubscriptionStatus.ENDED
    books.assert_agree(till)


def test_renewals_that_nobody_told_us_of_are_found_every_hour(till: Till) -> None:
    subscription = subscribe(till, till.customer())
    with till.holding():
        till.control("clock", advance_seconds=70 * 24 * 3600)
        found = overdue.ids()
        for one in found:
            overdue.catch_up(one)

        subscription.refresh_from_db()
        assert subscription.pk in found
        assert len(_periods(subscription)) == 3
        assert subscription.period_ends_at > clock.now()
    till.settle_down()
    books.assert_agree(till)
