"""Every second of every subscription is billed exactly once, over 36 months of plan changes.

The card rail talks to a real sandbox over HTTP, whose clock is moved; what the sandbox tells is
handled in this process (see ``desk.py``), most of it out of order, twice or late. Subscriptions
begin on the 28th to 31st and on a leap day, at midnight of many time zones.

A failure names its seed; run it again with LIFETIMES_SEED=<seed>.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing.models import Order, OrderStatus, Payment, Subscription, SubscriptionPeriod
from billing.services import plan_changes
from common import clock
from tests.end_to_end import books, desk, lifetimes, subscribers, timelines
from tests.end_to_end.desk import Desk
from tests.end_to_end.lifetimes import Life

MONTHS_36 = timedelta(days=3 * 365 + 1)
# Whole, half and three-quarter hours, clock changes in both halves of the world, both ends of it.
ZONES = (
    "UTC",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Cairo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)
DAYS = (28, 29, 30, 31)


def seeds(*usual: int) -> list[int]:
    """The seeds of a test, or the one that a developer wants to see again."""
    wanted = os.environ.get("LIFETIMES_SEED")
    return [int(wanted)] if wanted else list(usual)


@pytest.mark.parametrize("seed", seeds(1))
def test_every_second_is_billed_once_whatever_the_day_it_begins_on(seed: int) -> None:
    zones = ["UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Pago_Pago"]
    with desk.opened(seed) as opened:
        prove(opened, seed, zones=zones, pause_days=75)


@pytest.mark.prove
@pytest.mark.parametrize("trial_days", [0, 10])
@pytest.mark.parametrize("zone", ZONES)
def test_every_second_is_billed_once_in_every_zone(zone: str, trial_days: int) -> None:
    seed = seeds(1_000 + ZONES.index(zone))[0]
    with desk.opened(seed, variables=lifetimes.trial_variables(trial_days)) as opened:
        prove(opened, seed, zones=[zone] * len(DAYS))


def test_cents_that_are_too_few_for_a_card_come_with_the_renewal() -> None:
    with desk.opened(1) as opened:
        customer = opened.till.customer()
        subscription = subscribers.subscribe_here(opened.till, customer, "basic")
        for seconds, slug in [(2 * 3600, "premium"), (90, "enterprise")]:
            opened.wait_until(subscription.period_ends_at - timedelta(seconds=seconds))
            quote = plan_changes.quote(customer, slug, "month")
            assert 0 <= quote.total.amount_minor < lifetimes.LEAST_CHARGE
            plan_changes.confirm(customer, quote.token, placed_by=None)
        assert Payment.objects.filter(customer=customer).count() == 1

        opened.wait_until(subscription.period_ends_at + timedelta(hours=2))
        opened.bring(orderly=True)

        renewal = Payment.objects.filter(customer=customer).order_by("pk")[1]
        assert 499_99 < renewal.amount_minor < 499_99 + lifetimes.LEAST_CHARGE
        plans = [plan for _, _, plan in timelines.of_portal(subscription)]
        assert plans == ["basic", "premium", "enterprise"]
        books.assert_agree_on_plans(opened.till)


def test_a_change_that_gives_tax_back_where_none_is_due_any_more_is_paid_and_booked() -> None:
    with desk.opened(1) as opened:
        customer = opened.till.customer()
        subscribers.subscribe_here(opened.till, customer, "basic", tax_minor=99)
        opened.wait_until(clock.now() + timedelta(days=10))

        quote = plan_changes.quote(customer, "premium", "month")
        plan_changes.confirm(customer, quote.token, placed_by=None)

        assert quote.tax.amount_minor < 0
        paid = Payment.objects.filter(customer=customer).order_by("pk")[1]
        assert (paid.amount, paid.tax_minor) == (quote.total, 0)
        assert paid.order is not None
        assert paid.order.total == quote.total
        books.assert_agree_on_plans(opened.till)


def prove(opened: Desk, seed: int, *, zones: Sequence[str], pause_days: int = 45) -> None:
    """Live for 36 months from each of the four days, end it all, and count the seconds."""
    leap_day = desk.first_leap_day(clock.now())
    began = [leap_day.replace(month=1, day=day) for day in DAYS]
    moments = [at_midnight(day, zone) for day, zone in zip(began, zones, strict=True)]
    moments.append(at_midnight(leap_day, zones[0]))
    lives = [
        Life(opened, seed * 100 + number, moment, zone, pause_days)
        for number, (moment, zone) in enumerate(zip(moments, [*zones, zones[0]], strict=True))
    ]
    try:
        lifetimes.live(opened, lives, leap_day + MONTHS_36)
        lifetimes.end_all(opened, lives)
        books.assert_agree_on_plans(opened.till)
        assert_billed_once(opened)
    except BaseException:
        print(f"LIFETIMES_SEED={seed}")
        for life in lives:
            print(life)
        raise


def at_midnight(day: datetime, zone: str) -> datetime:
    """A quarter of an hour into that day in that zone."""
    return day.replace(tzinfo=ZoneInfo(zone), minute=15)


def assert_billed_once(opened: Desk) -> None:
    """Seconds, invoices and money, of every subscription there is."""
    for subscription in Subscription.objects.select_related("customer"):
        assert_seconds(subscription)
        assert_invoices(subscription)
    assert not Payment.objects.filter(order=None).exists()
    earned = sum(one.recognised_minor for one in SubscriptionPeriod.objects.all())
    paid = Payment.objects.exclude(order=None)
    kept = sum(one.amount_minor - one.tax_minor for one in paid)
    assert (opened.till.balance("deferred"), opened.till.balance("sales")) == (0, earned)
    assert earned == kept


def assert_seconds(subscription: Subscription) -> None:
    """From its start to its end a subscription is billed without gap, as the sandbox says too."""
    ours = timelines.of_portal(subscription)
    billed = timelines.of_invoices(timelines.invoices_of(subscription))
    theirs = timelines.joined(billed, round(plan_changes.QUOTE_LASTS.total_seconds()))
    assert ours == theirs, subscription.external_id
    assert timelines.gaps(ours) == []
    assert subscription.ended_at is not None
    assert (ours[0][0], ours[-1][1]) == (
        subscription.started_at.timestamp(),
        subscription.ended_at.timestamp(),
    )


def assert_invoices(subscription: Subscription) -> None:
    """Every invoice closed one order, with one payment if there was anything to pay."""
    invoices = {one["id"]: one["amount_paid"] for one in timelines.invoices_of(subscription)}
    closed = {
        one.source: sum(paid.amount_minor for paid in one.order.payments.all())
        for one in subscription.periods.select_related("order")
        if one.order is not None
    }
    assert closed == invoices
    assert subscription.periods.count() == len(invoices)
    orders = Order.objects.filter(customer=subscription.customer, status=OrderStatus.PAID)
    assert not orders.filter(period=None).exists()
