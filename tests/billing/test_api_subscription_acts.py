"""Changing and ending subscriptions over the API, to the cent and once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import Order, Payment, Subscription
from billing.services import plan_changes
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import code_of, program, send
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.subscribers import said, subscribe
from tests.factories import NOW, make_payment

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


def test_an_upgrade_of_time_that_has_not_begun_replaces_it(person: PersonClient) -> None:
    with clock.frozen(NOW) as frozen, only_rail(FakeRail()):
        paid_month(person)
        paid_month(person)
        frozen.move(timedelta(days=1))
        quote = preview(person, UP)
        done = send(person, f"{API}/upgrade", UP | {"token": quote["token"]}).json()
        make_payment(Order.objects.get(pk=done["order"]["id"]))
        page = person.get("/billing/subscription")

    assert quote["parts"][0]["title"] == "Unused time of Basic"
    assert "Replaced before it began; was 20 Dec 2026 to 20 Jan 2027" in said(page)
    assert "21 Nov 2026 to 20 Jan 2027" in said(page)
    assert 'id="manage-cards"' not in page.text
