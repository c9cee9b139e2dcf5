"""Plans and subscriptions over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from billing import catalogue
from billing.models import Order
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import code_of, member_who_only_looks, program, send
from tests.billing.fakes import FakeRenewingRail
from tests.billing.subscribers import subscribe, subscribe_twice
from tests.factories import NOW

pytestmark = pytest.mark.django_db

API = "/api/billing"
UP = {"plan": "premium", "interval": "month"}
BASIC = {"plan": "basic", "interval": "month"}


@pytest.fixture
def person(renewing_rail: FakeRenewingRail) -> PersonClient:
    """The browser of a new person, on a portal whose rail renews."""
    return signed_in()


@pytest.fixture
def caller(person: PersonClient) -> APIClient:
    """The person's program."""
    return program(person.customer, "subscription:read", "subscription:write")


def preview(caller: APIClient, wanted: dict[str, str]) -> Any:
    """The quote of a change."""
    response = send(caller, f"{API}/upgrade", wanted | {"preview": True})
    assert response.status_code == 200, response.json()
    return response.json()["quote"]


# -- reading --------------------------------------------------------------------------------------


def test_without_a_subscription_there_is_null(caller: APIClient) -> None:
    response = caller.get(f"{API}/subscription")

    assert response.status_code == 200
    assert response.json() == {"subscription": None, "others": [], "last_ended": None}


def test_a_subscription_says_where_it_stands_and_what_comes_next(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW):
        row = subscribe(person, renewing_rail)
        told = caller.get(f"{API}/subscription").json()["subscription"]

    assert told["id"] == str(row.pk)
    assert (told["plan"], told["interval"], told["phase"]) == ("basic", "month", "active")
    assert (told["gives_access"], told["renews"], told["rail"]) == (True, True, "card")
    assert told["next"] == {
        "kind": "renews",
        "at": "2026-12-20T12:00:00Z",
        "price": {"amount_minor": 2999, "asset": "USD", "display": "$29.99"},
        "sentence": "Renews on 20 Dec 2026 for $29.99.",
    }


def test_a_failing_one_says_until_when_there_is_access(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW):
        renewing_rail.fail(subscribe(person, renewing_rail))
        told = caller.get(f"{API}/subscription").json()["subscription"]

    assert (told["phase"], told["next"]["kind"]) == ("past_due", "access_ends")
    assert told["grace_ends_at"] == told["next"]["at"] == "2026-11-27T12:00:00Z"
    assert not told["can_change"]


def test_a_duplicate_is_told_beside_the_one_that_counts(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe_twice(person, renewing_rail)

    told = caller.get(f"{API}/subscription").json()

    assert told["subscription"]["plan"] == "premium"
    assert [(one["plan"], one["is_duplicate"]) for one in told["others"]] == [("basic", True)]


def test_plans_tell_limits_features_prices_and_savings(caller: APIClient) -> None:
    plans = {plan["slug"]: plan for plan in caller.get(f"{API}/plans").json()["plans"]}

    assert list(plans) == ["free", "basic", "premium", "enterprise"]
    assert plans["enterprise"]["limits"]["requests"] is None
    assert plans["free"]["is_current"]
    assert plans["free"]["offers"] == []
    by_month, by_year = plans["basic"]["offers"]
    assert (by_month["interval"], by_month["saving"], by_month["move"]) == (
        "month",
        None,
        "subscribe",
    )
    assert by_year["saving"]["amount_minor"] == 12 * 29_99 - 299_99
    assert {"slug": "webhooks", "name": "Webhooks"} in plans["premium"]["features"]


def test_plans_are_seen_from_where_the_customer_stands(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail, "premium")

    plans = caller.get(f"{API}/plans").json()["plans"]

    moves = {(p["slug"], o["interval"]): o["move"] for p in plans for o in p["offers"]}
    assert moves == {
        ("basic", "month"): "downgrade",
        ("basic", "year"): "downgrade",
        ("premium", "month"): "current",
        ("premium", "year"): "longer",
        ("enterprise", "month"): "upgrade",
        ("enterprise", "year"): "upgrade",
    }


# -- subscribing ----------------------------------------------------------------------------------


def test_subscribing_answers_an_order_with_a_pay_page(
    person: PersonClient, caller: APIClient
) -> None:
    response = send(caller, f"{API}/subscribe", BASIC | {"return_url": "/billing/"})

    order = Order.objects.get()
    assert response.status_code == 201
    assert response.json()["pay_url"] == f"https://pay.example.com/{order.pk}"
    assert response.json()["title"] == "Basic, per month"
    assert (order.return_url, order.customer) == ("/billing/", person.customer)


def test_the_same_key_gets_the_same_order(
    caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    first, second = (send(caller, f"{API}/subscribe", BASIC, key="k") for _ in range(2))

    assert first.json() == second.json()
    assert Order.objects.count() == len(renewing_rail.pages) == 1


def test_a_provider_out_of_reach_is_tried_again_under_the_same_key(
    caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.down = True
    refused = send(caller, f"{API}/subscribe", BASIC, key="k")
    renewing_rail.down = False
    made = send(caller, f"{API}/subscribe", BASIC, key="k")

    assert (refused.status_code, code_of(refused)) == (503, "rail_unavailable")
    assert made.status_code == 201
    assert Order.objects.count() == 1


def test_a_second_subscription_is_refused(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)

    refused = send(caller, f"{API}/subscribe", UP)

    assert (refused.status_code, code_of(refused)) == (409, "already_subscribed")
    assert Order.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (BASIC | {"plan": "platinum"}, "unknown_plan", "plan"),
        (BASIC | {"plan": "free"}, "not_sold_that_way", "plan"),
        (BASIC | {"interval": "30d"}, "not_sold_that_way", "interval"),
        (BASIC | {"interval": "week"}, "invalid_input", "interval"),
        (BASIC | {"rail": "barter"}, "rail_not_available", None),
        (BASIC | {"plan": 7}, "invalid_input", "plan"),
        (BASIC | {"return_url": "https://evil.example.com"}, "invalid_input", "return_url"),
        (BASIC | {"intervall": "year"}, "invalid_input", "intervall"),
        ({"plan": "basic"}, "invalid_input", "interval"),
        ({}, "invalid_input", "plan"),
    ],
)
def test_what_cannot_be_ordered_is_refused_by_field(
    caller: APIClient, body: dict[str, Any], code: str, field: str | None
) -> None:
    refused = send(caller, f"{API}/subscribe", body)

    assert (refused.status_code, code_of(refused)) == (400, code)
    assert field is None or field in refused.json()["error"]["fields"]
    assert Order.objects.count() == 0


# -- who may --------------------------------------------------------------------------------------

WRITES = ["subscribe", "upgrade", "cancel", "resume", "portal"]


@pytest.mark.parametrize("what", WRITES)
def test_a_member_who_only_looks_may_not(renewing_rail: FakeRenewingRail, what: str) -> None:
    looking, _team = member_who_only_looks()

    refused = send(looking, f"{API}/{what}", BASIC)

    assert (refused.status_code, code_of(refused)) == (403, "role_insufficient")


def test_a_member_who_only_looks_sees_but_gets_no_portal(renewing_rail: FakeRenewingRail) -> None:
    looking, _team = member_who_only_looks()

    assert looking.get(f"{API}/subscription").status_code == 200
    assert looking.get(f"{API}/plans").status_code == 200
    refused = looking.get(f"{API}/portal")
    assert (refused.status_code, code_of(refused)) == (403, "role_insufficient")
    assert renewing_rail.calls == []


def test_a_key_needs_the_scope(person: PersonClient) -> None:
    reading = program(person.customer, "subscription:read", "credits:purchase")

    refused = [send(reading, f"{API}/{what}", BASIC) for what in WRITES]
    refused.append(reading.get(f"{API}/portal"))
    refused.append(program(person.customer, "credits:read").get(f"{API}/subscription"))

    assert {(one.status_code, code_of(one)) for one in refused} == {(403, "scope_missing")}


def test_a_trial_is_told_while_it_is_to_be_had(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    with override_settings(CATALOGUE=catalogue.load({"BASIC_TRIAL_DAYS": "7"})):
        before = caller.get(f"{API}/plans").json()["plans"][1]["trial_days"]
        subscribe(person, renewing_rail)
        told = caller.get(f"{API}/subscription").json()["subscription"]
        after = caller.get(f"{API}/plans").json()["plans"][1]["trial_days"]

    assert (before, after, told["phase"], told["next"]["kind"]) == (7, 0, "trial", "trial_ends")
