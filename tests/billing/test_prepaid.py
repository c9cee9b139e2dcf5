"""Prepaid time: bought from credits, extended, changed for better, over when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from billing import selectors
from billing.errors import AlreadySubscribed
from billing.models import Lot, Order, SubscriptionStatus
from billing.rails.wallet import paying
from billing.services import (
    prepaid,
    refunds,
    subscription_periods,
    subscriptions,
)
from billing.services.rails import RefundAnswer
from common import clock
from common.clock import FrozenClock
from tests.billing.prepaid import (
    BASIC,
    ONE,
    PREMIUM,
    balance_of,
    bought,
    came,
    changed,
    differences,
    only_subscription,
    ordered,
    refunded,
    rich,
    spendable,
    stretches,
)
from tests.factories import NOW, make_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now", "wallet_rail")]

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _books_add_up() -> Iterator[None]:
    yield
    assert differences() == []


# -- buying and extending -------------------------------------------------------------------------


def test_the_first_period_is_a_month_of_the_customers_own_zone() -> None:
    with clock.frozen(datetime(2027, 3, 1, 23, 30, tzinfo=UTC)):  # 2 March, 00:30 in Berlin
        customer = rich(time_zone="Europe/Berlin")
        bought(customer)

    subscription = only_subscription(customer)
    ends_at = subscription.period_ends_at.astimezone(ZoneInfo("Europe/Berlin"))
    assert (subscription.renews, subscription.rail) == (False, "wallet")
    # Summer time has begun meanwhile, and the wall time is the same.
    assert ends_at == datetime(2027, 4, 2, 0, 30, tzinfo=ZoneInfo("Europe/Berlin"))


def test_extending_counts_every_period_from_the_anchor() -> None:
    anchor = datetime(2027, 1, 31, 12, tzinfo=UTC)
    with clock.frozen(anchor):
        customer = rich()
        for _ in range(4):
            bought(customer)

    days = [period.ends_at.date().isoformat() for period in stretches(customer)]
    assert days == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
    assert only_subscription(customer).period_ends_at == datetime(2027, 5, 31, 12, tzinfo=UTC)
    starts = [period.starts_at for period in stretches(customer)][1:]
    assert starts == [period.ends_at for period in stretches(customer)][:-1]


def test_another_plan_is_refused_and_not_sold_beside_it() -> None:
    customer = rich()
    bought(customer)

    with pytest.raises(AlreadySubscribed):
        subscriptions.start(customer, "premium", "month", rail="wallet")


def test_time_that_was_not_extended_is_over_at_its_end(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    now.at = only_subscription(customer).period_ends_at

    assert selectors.entitlements(customer).plan.slug == "free"
    assert prepaid.end_over() == 1
    assert prepaid.end_over() == 0

    ended = only_subscription(customer)
    assert (ended.status, ended.ended_at) == (SubscriptionStatus.ENDED, ended.period_ends_at)


def test_an_extension_that_is_paid_too_late_begins_anew(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    extension = ordered(customer)
    now.at = only_subscription(customer).period_ends_at
    prepaid.end_over()
    order = ordered(customer)
    assert "extends" not in order.snapshot
    extension.refresh_from_db()

    Order.objects.filter(pk=extension.pk).update(expires_at=None)
    paying.pay(customer, extension.pk)

    first, second = stretches(customer)
    assert second.starts_at == now.at == first.ends_at
    assert second.subscription_id != first.subscription_id


def test_a_year_is_sold_too() -> None:
    customer = rich()
    bought(customer, "basic", "year")

    (period,) = stretches(customer)
    assert period.ends_at == NOW.replace(year=2027)


def test_credits_that_come_with_a_period_go_with_it(settings: object) -> None:
    from billing import catalogue

    settings.CATALOGUE = catalogue.load({"BASIC_INCLUDED_CREDITS": "50"})  # type: ignore[attr-defined]
    customer = rich(BASIC * 2)
    bought(customer)
    bought(customer)

    first, second = Lot.objects.filter(account__owner=customer, promotional=True).order_by("pk")
    assert (first.granted_minor, second.granted_minor) == (50 * ONE, 50 * ONE)
    assert [lot.expires_at for lot in (first, second)] == [
        period.ends_at for period in stretches(customer)
    ]


# -- revenue --------------------------------------------------------------------------------------


def test_revenue_is_earned_by_the_second_and_booked_by_the_day(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    (period,) = stretches(customer)
    assert period.ends_at == NOW + 30 * DAY
    earned = []
    for days in range(1, 31):
        now.at = NOW + days * DAY
        subscription_periods.recognise_due()
        subscription_periods.recognise_due()
        earned.append(balance_of("sales"))

    assert earned == [BASIC * days // 30 for days in range(1, 31)]
    assert earned[-1] == BASIC
    assert balance_of("deferred") == 0


def test_what_is_paid_for_later_is_not_earned_yet(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    bought(customer)
    first, second = stretches(customer)
    now.at = first.ends_at

    while subscription_periods.recognise_due():
        pass

    assert (balance_of("sales"), balance_of("deferred")) == (BASIC, BASIC)
    assert second.earned_minor(now.at) == 0


# -- refunds --------------------------------------------------------------------------------------


def test_refunding_what_is_left_ends_the_time_now(now: FrozenClock) -> None:
    customer = rich(BASIC)
    payment = bought(customer)
    now.move(15 * DAY)

    refunded(payment)

    ended = only_subscription(customer)
    assert (ended.status, ended.ended_at) == (SubscriptionStatus.ENDED, now.at)
    assert stretches(customer)[0].ends_at == now.at
    assert spendable(customer) == BASIC // 2
    while subscription_periods.recognise_due():
        pass
    assert (balance_of("sales"), balance_of("deferred")) == (BASIC - BASIC // 2, 0)


def test_refunding_a_part_leaves_the_time_alone(now: FrozenClock) -> None:
    customer = rich(BASIC)
    payment = bought(customer)
    now.move(15 * DAY)

    refunded(payment, BASIC // 2 - 1)

    assert only_subscription(customer).status == SubscriptionStatus.ACTIVE
    assert only_subscription(customer).period_ends_at == NOW + 30 * DAY


def test_refunding_an_extension_leaves_what_was_paid_before(now: FrozenClock) -> None:
    customer = rich(2 * BASIC)
    bought(customer)
    extension = bought(customer)
    now.move(15 * DAY)

    refunded(extension)

    subscription = only_subscription(customer)
    assert subscription.status == SubscriptionStatus.ACTIVE
    assert subscription.period_ends_at == NOW + 30 * DAY
    assert spendable(customer) == BASIC
    assert selectors.entitlements(customer).plan.slug == "basic"
    assert bought(customer).order is not None
    assert stretches(customer)[-1].starts_at == NOW + 30 * DAY


@pytest.mark.usefixtures("chain")
def test_while_a_refund_of_a_later_month_is_on_its_way_this_month_goes_on() -> None:
    customer = make_customer()
    came(subscriptions.start(customer, "basic", "month", rail="chain"))
    extension = came(subscriptions.start(customer, "basic", "month", rail="chain"))

    refund = refunds.request(extension.pk, reason="asked")

    assert selectors.entitlements(customer).plan.slug == "basic"
    refunds.record(refund.pk, RefundAnswer("re_1", "succeeded"))
    assert only_subscription(customer).period_ends_at == NOW + 30 * DAY
    refunds.record(refund.pk, RefundAnswer("re_1", "failed", "bounced"))
    assert only_subscription(customer).period_ends_at == stretches(customer)[1].billed_until_at


def test_refunding_this_month_leaves_a_gap_before_the_next(now: FrozenClock) -> None:
    customer = rich(2 * BASIC)
    this_month = bought(customer)
    bought(customer)
    now.move(15 * DAY)

    refunded(this_month)

    assert only_subscription(customer).status == SubscriptionStatus.ACTIVE
    gap = selectors.entitlements(customer)
    assert (gap.plan.slug, gap.valid_until) == ("free", NOW + 30 * DAY)
    now.at = NOW + 30 * DAY
    assert selectors.entitlements(customer).plan.slug == "basic"


def test_refunding_what_was_carried_to_a_better_plan_takes_it_there(now: FrozenClock) -> None:
    customer = rich()
    first = bought(customer)
    now.move(15 * DAY)
    second = changed(customer, "premium")
    before = spendable(customer)

    refunded(first)
    refunded(second)

    assert spendable(customer) - before == second.amount_minor + BASIC // 2
    assert balance_of("deferred") == BASIC - BASIC // 2  # of the days that were used


def test_an_extension_that_a_change_swallowed_can_still_be_refunded(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    extension = bought(customer)
    changed(customer, "premium")
    now.move(DAY)

    assert refunds.unspent_minor(extension) == BASIC
    refunded(extension, 100)

    assert spendable(customer) == 10**6 * ONE - 2 * PREMIUM + 100


def test_refunding_every_order_whole_gives_all_of_it_back(now: FrozenClock) -> None:
    customer = rich()
    paid = [bought(customer), bought(customer)]
    now.move(10 * DAY)
    paid.append(changed(customer, "premium"))
    now.move(10 * DAY)
    while subscription_periods.recognise_due():
        pass

    for payment in paid:
        refunded(payment, payment.amount_minor, forced=True)

    assert spendable(customer) == 10**6 * ONE
    assert (balance_of("sales"), balance_of("deferred")) == (0, 0)
