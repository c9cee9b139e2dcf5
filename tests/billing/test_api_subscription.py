"""Plans and subscriptions over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from billing import catalogue
from billing.models import Order, Payment, Subscription
from billing.services import plan_changes
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import code_of, member_who_only_looks, program, send
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
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


# -- changing -------------------------------------------------------------------------------------


def test_a_preview_changes_nothing_and_its_token_charges_exactly_that(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.tax_bps = 21_00
    with clock.frozen(NOW) as frozen:
        subscribe(person, renewing_rail)
        frozen.move(timedelta(days=3, minutes=7))
        quote = preview(caller, UP)
        assert Subscription.objects.get().plan_slug == "basic"
        done = send(caller, f"{API}/upgrade", UP | {"token": quote["token"]})

    paid = Payment.objects.order_by("pk").last()
    assert paid is not None
    assert quote["when"] == "now"
    assert quote["total"]["amount_minor"] == paid.amount_minor
    assert quote["tax"]["amount_minor"] == paid.tax_minor > 0
    parts = sum(part["amount"]["amount_minor"] for part in quote["parts"])
    assert parts == quote["subtotal"]["amount_minor"] == paid.amount_minor - paid.tax_minor
    assert (quote["next_price"]["display"], quote["next_at"]) == (
        "$99.99",
        "2026-12-20T12:00:00Z",
    )
    answer = done.json()
    assert (answer["when"], answer["quote"], answer["order"]) == ("now", None, None)
    assert answer["subscription"]["plan"] == "premium"


def test_nobody_is_charged_what_they_have_not_seen(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)

    unseen = send(caller, f"{API}/upgrade", UP)
    both = send(caller, f"{API}/upgrade", UP | {"preview": True, "token": "t"})

    assert (unseen.status_code, both.status_code) == (400, 400)
    assert "preview first" in unseen.json()["error"]["fields"]["token"][0]
    assert Payment.objects.count() == 1


def test_a_quote_is_for_its_plan_its_customer_and_its_time(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    other = signed_in()
    with clock.frozen(NOW) as frozen:
        subscribe(person, renewing_rail)
        subscribe(other, renewing_rail)
        token = preview(caller, UP)["token"]
        refused = [
            send(caller, f"{API}/upgrade", {**UP, "plan": "enterprise", "token": token}),
            send(caller, f"{API}/upgrade", {**UP, "token": token[:-1] + "_"}),
            send(other, f"{API}/upgrade", {**UP, "token": token}),
        ]
        frozen.move(plan_changes.QUOTE_LASTS + timedelta(seconds=1))
        refused.append(send(caller, f"{API}/upgrade", {**UP, "token": token}))

    assert [(one.status_code, code_of(one)) for one in refused] == [(409, "quote_outdated")] * 4
    assert Payment.objects.count() == 2


def test_a_declined_charge_changes_nothing(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)
    token = preview(caller, UP)["token"]
    renewing_rail.declines = True

    refused = send(caller, f"{API}/upgrade", UP | {"token": token})

    assert (refused.status_code, code_of(refused)) == (402, "payment_declined")
    assert Subscription.objects.get().plan_slug == "basic"


def test_a_downgrade_waits_and_can_be_taken_back(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail, "premium")

    quote = preview(caller, BASIC)
    done = send(caller, f"{API}/upgrade", BASIC | {"token": quote["token"]}).json()
    kept = send(caller, f"{API}/resume").json()

    assert (quote["when"], quote["total"]["amount_minor"]) == ("period_end", 0)
    assert (done["when"], done["subscription"]["plan"]) == ("period_end", "premium")
    assert done["subscription"]["next_plan"] == "basic"
    assert kept["next_plan"] == ""


@pytest.mark.parametrize("rail_is_renewing", [True, False])
def test_without_a_subscription_there_is_nothing_to_change(
    caller: APIClient, rail_is_renewing: bool
) -> None:
    with only_rail(FakeRenewingRail() if rail_is_renewing else FakeRail()):
        refused = [
            send(caller, f"{API}/upgrade", UP | {"preview": True}),
            send(caller, f"{API}/cancel"),
            send(caller, f"{API}/resume"),
        ]

    assert [(one.status_code, code_of(one)) for one in refused] == [(404, "no_subscription")] * 3


def test_prepaid_time_is_upgraded_by_paying_an_order(person: PersonClient) -> None:
    caller = program(person.customer, "subscription:write")
    with clock.frozen(NOW) as frozen, only_rail(FakeRail()):
        paid_month(person)
        frozen.move(timedelta(days=15))
        quote = preview(caller, UP)
        done = send(caller, f"{API}/upgrade", UP | {"token": quote["token"]}).json()
        cancelled = send(caller, f"{API}/cancel")

    assert done["order"]["total"] == quote["total"]
    assert done["order"]["pay_url"].startswith("https://pay.example.com/")
    assert done["subscription"]["plan"] == "basic"
    assert (cancelled.status_code, code_of(cancelled)) == (409, "change_not_possible")


def paid_month(person: PersonClient) -> None:
    """A month of Basic over a rail that does not renew."""
    from tests.factories import make_payment

    made = send(person, f"{API}/subscribe", BASIC).json()
    make_payment(Order.objects.get(pk=made["id"]))


# -- ending ---------------------------------------------------------------------------------------


def test_cancelling_and_resuming_can_be_repeated(
    person: PersonClient, caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    row = subscribe(person, renewing_rail)

    cancelled = [send(caller, f"{API}/cancel").json() for _ in range(2)]
    resumed = [send(caller, f"{API}/resume").json() for _ in range(2)]

    assert [one["phase"] for one in cancelled + resumed] == ["ending"] * 2 + ["active"] * 2
    assert (cancelled[0]["cancels_at"] is None, cancelled[0]["can_resume"]) == (False, True)
    calls = [("cancel_at_period_end", row.external_id), ("resume", row.external_id)]
    assert renewing_rail.calls == calls
    assert send(caller, f"{API}/cancel", {"now": True}).status_code == 400


# -- the provider's page --------------------------------------------------------------------------


def test_the_portal_is_an_address_of_the_provider(
    caller: APIClient, renewing_rail: FakeRenewingRail
) -> None:
    got = caller.get(f"{API}/portal", {"return_url": "/billing/plans"})
    posted = send(caller, f"{API}/portal")

    assert got.json() == posted.json() == {"url": renewing_rail.portal_url}
    assert [url.rpartition("/billing")[2] for _, url in renewing_rail.calls] == [
        "/plans",
        "/subscription",
    ]
    refused = caller.get(f"{API}/portal", {"return_url": "//evil.example.com"})
    assert (refused.status_code, code_of(refused)) == (400, "invalid_input")


def test_a_rail_without_such_a_page_is_409(caller: APIClient) -> None:
    with only_rail(FakeRail()):
        refused = caller.get(f"{API}/portal")

    assert (refused.status_code, code_of(refused)) == (409, "change_not_possible")


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
