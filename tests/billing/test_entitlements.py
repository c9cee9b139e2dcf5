"""What a customer may do: by the best plan and what is added; cached, and never stale for long."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache, caches
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Customer
from billing import catalogue, selectors
from billing.models import Payment, Subscription
from billing.rails.wallet.rail import WalletRail
from billing.selectors import Entitlements
from billing.services import (
    cancellations,
    entitlements,
    rails,
    refunds,
    subscriptions,
)
from billing_project.cache import ForgivingRedisCache
from common.clock import FrozenClock
from tests.billing.callers import code_of, program
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import bought, rich
from tests.factories import NOW, make_customer

DAY = timedelta(days=1)

# The cache is for answers outside transactions, so these tests commit.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(renewing_rail: FakeRenewingRail) -> Iterator[FakeRenewingRail]:
    """Cards, and the wallet."""
    with mock.patch.dict(rails._RAILS, {"wallet": WalletRail()}):
        yield renewing_rail


@pytest.fixture(autouse=True)
def added() -> Iterator[dict[str, Any]]:
    """The registered sources; none to begin with."""
    sources = sys.modules["billing.selectors.entitlements"]._SOURCES  # the function has its name
    with mock.patch.dict(sources, clear=True):
        yield sources


def subscribed(rail: FakeRenewingRail, customer: Customer, plan: str = "basic") -> Subscription:
    return rail.pay(subscriptions.start(customer, plan, "month", rail="card"))


def asked(customer: Customer) -> Entitlements:
    return selectors.entitlements(customer)


def queries_of(ask: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        ask()
    return len(captured)


# -- the answer -----------------------------------------------------------------------------------


def test_who_has_nothing_has_the_free_plan() -> None:
    customer = make_customer(anchor_at=datetime(2026, 1, 31, 12, tzinfo=UTC))

    found = asked(customer)

    free = catalogue.current().free_plan
    assert (found.plan, found.subscription_id) == (free, None)
    assert found.limits == free.limits
    assert found.features == {"basic_assistant", "limited_api"}


def test_a_free_customers_month_runs_from_sign_up_in_their_zone() -> None:
    # The 31st, half past midnight in Auckland.
    customer = make_customer(
        anchor_at=datetime(2026, 8, 30, 12, 30, tzinfo=UTC), time_zone="Pacific/Auckland"
    )

    found = asked(customer)

    # 31 October with summer time, 30 November.
    assert found.month_starts_at == datetime(2026, 10, 30, 11, 30, tzinfo=UTC)
    assert found.month_ends_at == found.valid_until == datetime(2026, 11, 29, 11, 30, tzinfo=UTC)


def test_a_subscribers_month_runs_from_their_subscription(
    rail: FakeRenewingRail, now: FrozenClock
) -> None:
    customer = make_customer(anchor_at=NOW - 400 * DAY)
    subscription = rail.pay(subscriptions.start(customer, "basic", "year", rail="card"))
    now.move(100 * DAY)

    found = asked(customer)

    assert found.subscription_id == subscription.pk
    assert (found.month_starts_at.day, found.month_ends_at.day) == (20, 20)
    assert found.month_starts_at <= now.at < found.month_ends_at


def test_the_best_live_subscription_counts(rail: FakeRenewingRail) -> None:
    customer = rich()
    orders = [
        subscriptions.start(customer, plan, "month", rail="card")
        for plan in ("basic", "premium", "basic")
    ]
    for order in orders:
        rail.pay(order)

    assert asked(customer).plan.slug == "premium"


def test_one_that_is_shut_does_not_count(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    orders = [
        subscriptions.start(customer, plan, "month", rail="card") for plan in ("basic", "premium")
    ]
    _, premium = [rail.pay(order) for order in orders]

    refunds.request(Payment.objects.get(order=orders[1]).pk, reason="asked")

    premium.refresh_from_db()
    assert premium.frozen_by
    assert asked(customer).plan.slug == "basic"


def test_sources_add_to_limits_and_unlimited_wins(added: dict[str, Any]) -> None:
    customer = make_customer()
    added["slots"] = lambda _: {"deploys": 2}
    added["more slots"] = lambda _: {"deploys": 3, "seats": 4}
    added["special"] = lambda one: {"projects": None} if one == customer else {}

    found = asked(customer)

    assert (found.limit("deploys"), found.limit("seats"), found.limit("projects")) == (6, 4, None)
    assert found.limit("nothing of the kind") == 0
    assert asked(make_customer()).limit("projects") == 1


def test_what_is_unlimited_stays_so(rail: FakeRenewingRail, added: dict[str, Any]) -> None:
    customer = make_customer()
    added["slots"] = lambda _: {"deploys": 2}
    subscribed(rail, customer, "enterprise")

    assert asked(customer).limit("deploys") is None


def test_a_plan_that_is_not_sold_any_more_gives_the_free_one(
    rail: FakeRenewingRail, settings: Any
) -> None:
    customer = make_customer()
    subscribed(rail, customer, "enterprise")
    assert asked(customer).plan.slug == "enterprise"

    settings.CATALOGUE = catalogue.load({"CATALOGUE": "studio"})

    assert asked(customer).plan.slug == "free"


def test_a_feature_is_required(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    with pytest.raises(entitlements.NotInPlan):
        entitlements.require(customer, "webhooks")

    subscribed(rail, customer, "premium")

    entitlements.require(customer, "webhooks")


# -- the cache ------------------------------------------------------------------------------------


def test_a_second_question_asks_no_database(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    subscribed(rail, customer)
    first = asked(customer)

    assert queries_of(lambda: asked(customer)) == 0
    assert asked(customer) == first


def test_prices_and_limits_are_those_of_this_deployment_at_once(settings: Any) -> None:
    customer = make_customer()
    asked(customer)

    settings.CATALOGUE = catalogue.load({"FREE_MAX_PROJECTS": "7"})

    assert asked(customer).limit("projects") == 7


def test_an_answer_is_kept_for_a_minute_at_most() -> None:
    customer = make_customer()
    asked(customer)
    broker = redis.Redis.from_url(django_settings.REDIS_URL)

    (key,) = [one for one in broker.keys("*entitlements:*") if ":mark" not in str(one)]

    assert 0 < broker.ttl(key) <= 60
    broker.close()


@pytest.mark.parametrize("rubbish", [b"\x80\x05rubbish", b"", b"12", b"\x80\x05}\x94."])
def test_rubbish_in_the_cache_is_computed_anew(rail: FakeRenewingRail, rubbish: bytes) -> None:
    customer = make_customer()
    subscribed(rail, customer)
    asked(customer)
    broker = redis.Redis.from_url(django_settings.REDIS_URL)
    for key in broker.keys("*entitlements:*"):
        broker.set(key, rubbish)
    broker.close()

    assert asked(customer).plan.slug == "basic"
    assert asked(customer).plan.slug == "basic"
    assert queries_of(lambda: asked(customer)) == 0


def test_without_a_cache_the_database_is_asked(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    subscribed(rail, customer)
    with _cache_down():
        assert asked(customer).plan.slug == "basic"
        assert queries_of(lambda: asked(customer)) > 0


def test_inside_a_transaction_its_own_changes_count_and_are_not_kept(
    rail: FakeRenewingRail,
) -> None:
    customer = make_customer()
    asked(customer)

    with transaction.atomic():
        subscribed(rail, customer)
        inside = asked(customer).plan.slug
        transaction.set_rollback(True)

    assert (inside, asked(customer).plan.slug) == ("basic", "free")


def test_an_answer_begun_before_a_change_and_stored_after_it_is_not_served(
    rail: FakeRenewingRail, added: dict[str, Any]
) -> None:
    """The slow reader has read the subscriptions; the change commits; then the reader stores."""
    customer = make_customer()
    changes = [lambda: subscribed(rail, customer)]

    def slow(_: Customer) -> dict[str, int | None]:
        while changes:
            changes.pop()()
        return {}

    added["slow"] = slow
    stale = asked(customer)

    assert stale.plan.slug == "free"
    assert asked(customer).plan.slug == "basic"


def test_a_mark_that_was_lost_serves_nothing_old(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    asked(customer)
    Subscription.objects.all().delete()
    subscription_before = queries_of(lambda: asked(customer))

    cache.delete(f"entitlements:{customer.pk}:mark")

    assert subscription_before == 0
    assert queries_of(lambda: asked(customer)) > 0


@contextmanager
def _cache_down() -> Iterator[None]:
    """Nobody listens where the cache should be."""
    there = caches["default"]
    caches["default"] = ForgivingRedisCache("redis://127.0.0.1:1", {"OPTIONS": {}})
    try:
        yield
    finally:
        caches["default"] = there


# -- time -----------------------------------------------------------------------------------------


def test_an_answer_is_not_served_past_the_end_of_prepaid_time(now: FrozenClock) -> None:
    customer = rich(anchor_at=NOW)
    bought(customer)
    now.at = NOW + 30 * DAY - timedelta(seconds=1)
    before = asked(customer)

    now.move(timedelta(seconds=1))

    assert (before.plan.slug, before.valid_until) == ("basic", now.at)
    assert asked(customer).plan.slug == "free"


def test_nor_past_a_cancelled_end(rail: FakeRenewingRail, now: FrozenClock) -> None:
    customer = make_customer()
    subscription = subscribed(rail, customer)
    cancellations.cancel(customer)
    now.at = subscription.period_ends_at - timedelta(seconds=1)
    assert asked(customer).plan.slug == "basic"

    now.move(timedelta(seconds=1))

    assert asked(customer).plan.slug == "free"


def test_nor_past_the_end_of_grace(rail: FakeRenewingRail, now: FrozenClock) -> None:
    customer = make_customer()
    subscription = subscribed(rail, customer)
    now.at = subscription.period_ends_at
    rail.fail(subscription)

    assert asked(customer).valid_until == now.at + 7 * DAY


def test_nor_past_the_end_of_a_month_of_limits(now: FrozenClock) -> None:
    customer = make_customer(anchor_at=NOW)
    now.at = NOW + 30 * DAY - timedelta(seconds=1)
    before = asked(customer)

    now.move(timedelta(seconds=1))

    assert asked(customer).month_starts_at == before.month_ends_at == now.at


def test_nor_at_a_moment_before_it_was_made(now: FrozenClock) -> None:
    customer = make_customer()
    now.move(40 * DAY)
    asked(customer)

    now.move(-20 * DAY)

    assert asked(customer).month_starts_at <= now.at


# -- the API --------------------------------------------------------------------------------------


def test_a_program_reads_them(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    subscription = subscribed(rail, customer, "enterprise")

    answer = program(customer, "subscription:read").get("/api/billing/entitlements").json()

    assert (answer["plan"], answer["plan_name"]) == ("enterprise", "Enterprise")
    assert answer["subscription_id"] == str(subscription.pk)
    assert {"name": "requests", "amount": None, "is_monthly": True} in answer["limits"]
    assert {"name": "projects", "amount": None, "is_monthly": False} in answer["limits"]
    assert "sla" in answer["features"]
    assert answer["month_ends_at"] == "2026-12-20T12:00:00Z"


def test_a_key_without_the_scope_does_not() -> None:
    response = program(make_customer(), "quota:write").get("/api/billing/entitlements")

    assert (response.status_code, code_of(response)) == (403, "scope_missing")
