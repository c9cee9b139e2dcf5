"""Prepaid time at a better plan, and orders that no longer fit when their money comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from billing import selectors
from billing.errors import ChangeNotPossible, QuoteOutdated
from billing.money import share_half_even
from billing.rails.wallet import paying
from billing.services import (
    plan_changes,
    subscriptions,
)
from common.clock import FrozenClock
from common.errors import Conflict
from tests.billing.prepaid import (
    BASIC,
    ENTERPRISE,
    PREMIUM,
    bought,
    came,
    changed,
    differences,
    only_subscription,
    order_of_change,
    ordered,
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


# -- changing the plan ----------------------------------------------------------------------------


def test_a_better_plan_costs_the_difference_for_the_time_that_is_left(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    now.move(10 * DAY)
    before = spendable(customer)

    changed(customer, "premium")

    due = share_half_even(PREMIUM, 20, 30) - share_half_even(BASIC, 20, 30)
    assert before - spendable(customer) == due
    first, second = stretches(customer)
    assert (first.ends_at, second.starts_at) == (now.at, now.at)
    assert second.cost_minor == due + BASIC - BASIC // 3
    assert second.ends_at == only_subscription(customer).period_ends_at
    assert selectors.entitlements(customer).plan.slug == "premium"


def test_until_it_is_paid_the_plan_stays_what_it_is(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)

    order_of_change(customer, "premium")

    assert only_subscription(customer).plan_slug == "basic"


def test_a_change_covers_time_that_is_paid_for_later(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    bought(customer)
    before = spendable(customer)

    payment = changed(customer, "premium")

    assert before - spendable(customer) == 2 * (PREMIUM - BASIC)
    (whole,) = [one for one in stretches(customer) if one.order == payment.order]
    assert (whole.plan_slug, whole.cost_minor) == ("premium", 2 * PREMIUM)
    assert (whole.starts_at, whole.ends_at) == (NOW, only_subscription(customer).period_ends_at)


def test_two_changes_cost_what_one_would_have(now: FrozenClock) -> None:
    """The stretch that a change makes is no interval of its own."""
    customer, other = rich(), rich()
    for one in (customer, other):
        bought(one)
        bought(one)
    now.move(10 * DAY)

    changed(customer, "premium")
    changed(customer, "enterprise")
    changed(other, "enterprise")

    assert abs(spendable(customer) - spendable(other)) <= 4  # a unit per rounding


def test_a_second_change_later_is_counted_by_the_month_too(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    now.move(10 * DAY)
    changed(customer, "premium")
    now.move(5 * DAY)
    before = spendable(customer)

    changed(customer, "enterprise")

    half = share_half_even(ENTERPRISE, 1, 2) - share_half_even(PREMIUM, 1, 2)
    assert before - spendable(customer) == half


@pytest.mark.parametrize(("plan", "interval"), [("basic", "year"), ("premium", "year")])
def test_only_a_better_plan_of_the_same_interval_is_possible(plan: str, interval: str) -> None:
    customer = rich()
    bought(customer)

    with pytest.raises(ChangeNotPossible):
        plan_changes.quote(customer, plan, interval)


def test_a_lesser_plan_is_not_possible() -> None:
    customer = rich()
    bought(customer, "premium")

    with pytest.raises(ChangeNotPossible):
        plan_changes.quote(customer, "basic", "month")


def test_a_quote_is_for_the_time_there_was_when_it_was_made() -> None:
    customer = rich()
    bought(customer)
    quote = plan_changes.quote(customer, "premium", "month")
    bought(customer)

    with pytest.raises(QuoteOutdated):
        plan_changes.confirm(customer, quote.token, placed_by=None)


def test_confirming_twice_is_one_order() -> None:
    customer = rich()
    bought(customer)
    quote = plan_changes.quote(customer, "premium", "month")

    first = plan_changes.confirm(customer, quote.token, placed_by=None)
    second = plan_changes.confirm(customer, quote.token, placed_by=None)

    assert first.order == second.order


# -- orders that no longer fit --------------------------------------------------------------------


def test_a_change_is_not_paid_for_time_bought_after_it_was_priced() -> None:
    customer = rich()
    bought(customer)
    order = order_of_change(customer, "premium")
    bought(customer)
    left = spendable(customer)

    with pytest.raises(Conflict) as refusal:
        paying.pay(customer, order.pk)

    assert refusal.value.code == "order_outdated"
    assert spendable(customer) == left


def test_a_change_is_not_paid_once_the_time_is_over(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    now.at = only_subscription(customer).period_ends_at - timedelta(minutes=5)
    order = order_of_change(customer, "premium")  # costs next to nothing
    now.move(timedelta(minutes=5))

    with pytest.raises(Conflict):
        paying.pay(customer, order.pk)

    assert [period.plan_slug for period in stretches(customer)] == ["basic"]


def test_a_change_is_not_paid_an_hour_after_it_was_priced(now: FrozenClock) -> None:
    customer = rich()
    bought(customer)
    order = order_of_change(customer, "premium")
    now.move(timedelta(hours=1, seconds=1))

    with pytest.raises(Conflict):
        paying.pay(customer, order.pk)


def test_time_at_the_old_price_is_not_added_to_a_better_plan() -> None:
    customer = rich()
    bought(customer)
    cheap = ordered(customer)
    changed(customer, "premium")

    with pytest.raises(Conflict):
        paying.pay(customer, cheap.pk)

    assert len(stretches(customer)) == 2


@pytest.mark.usefixtures("chain")
def test_money_that_comes_for_an_order_that_no_longer_fits_is_kept(
    now: FrozenClock, settings: object
) -> None:
    settings.UNAPPLIED_POLICY = "hold"  # type: ignore[attr-defined]
    customer = make_customer()
    came(subscriptions.start(customer, "basic", "month", rail="chain"))
    order = order_of_change(customer, "premium")
    now.at = only_subscription(customer).period_ends_at

    payment = came(order)

    assert payment.order is None
    assert "over" in payment.unapplied_reason
    order.refresh_from_db()
    assert order.is_open
    assert [period.plan_slug for period in stretches(customer)] == ["basic"]


@pytest.mark.usefixtures("chain")
def test_a_second_subscription_that_is_paid_anyway_is_kept_and_flagged() -> None:
    customer = make_customer()
    first, second = [
        subscriptions.start(customer, "basic", "month", rail="chain") for _ in range(2)
    ]
    came(first)

    payment = came(second)

    assert payment.order == second
    flagged = [one.is_duplicate for one in subscriptions.live(customer)]
    assert flagged == [False, True]


@pytest.mark.usefixtures("chain")
def test_any_rail_that_does_not_renew_sells_prepaid_time() -> None:
    customer = make_customer()

    for _ in range(2):
        came(subscriptions.start(customer, "basic", "month", rail="chain"))

    assert [period.cost_minor for period in stretches(customer)] == [29_99, 29_99]
    assert only_subscription(customer).period_ends_at == stretches(customer)[-1].ends_at
