"""The page of auto top-up, and the same over the API: who may do what, and what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from billing.errors import RailUnavailable
from billing.models import AutoTopUp, AutoTopUpConsent, AutoTopUpState, AutoTopUpStop
from billing.services import auto_top_up_charges, auto_top_ups
from billing.services.charging import ChargeAnswer, Result
from billing.tasks import top_up
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import code_of, member_who_only_looks, program, text_of
from tests.billing.charging import CARD, UNIT, FakeChargingRail, declined, owner, switched_on

pytestmark = pytest.mark.django_db

PAGE = "/billing/auto-top-up"
API = "/api/billing/auto-top-up"
GOOD = {"threshold": "500", "package": "small", "monthly_max": "15", "agree": "on"}
BODY = {
    "threshold_minor": 500 * UNIT,
    "package": "small",
    "monthly_max_minor": 15_00,
    "consent": True,
}


@pytest.fixture(autouse=True)
def rail(charging_rail: FakeChargingRail) -> FakeChargingRail:
    return charging_rail


@pytest.fixture
def person() -> PersonClient:
    return signed_in()


def row_of(person: PersonClient) -> AutoTopUp:
    return AutoTopUp.objects.get(customer=person.customer)


def put(client: APIClient, **changed: Any) -> Any:
    body = {name: value for name, value in (BODY | changed).items() if value is not None}
    return client.put(API, json.dumps(body), content_type="application/json")


def test_its_owner_switches_it_on_and_off(person: PersonClient) -> None:
    person.post(PAGE, GOOD)

    row = row_of(person)
    consent = AutoTopUpConsent.objects.get()
    assert (row.state, row.card) == (AutoTopUpState.ON, CARD)
    assert (consent.agreed_by, consent.text) == (person.user, str(auto_top_ups.CONSENT))
    assert CARD in text_of(person.get(PAGE))
    assert person.post(reverse("billing:auto_top_up_off")).status_code == 303
    assert row_of(person).state == AutoTopUpState.OFF


@pytest.mark.parametrize(
    ("typed", "field", "says"),
    [
        ({"agree": ""}, "agree", "unless you agree"),
        ({"threshold": ""}, "threshold", "This field is required"),
        ({"threshold": "2501"}, "threshold", "at most 2,500 credits"),
        ({"threshold": "-1"}, "threshold", "greater than or equal to 0"),
        ({"threshold": "many"}, "threshold", "Enter a number"),
        ({"monthly_max": "4.99"}, "monthly_max", "from $5.00"),
        ({"monthly_max": "5.001"}, "monthly_max", "no more than 2 decimal places"),
        ({"package": "gold"}, "package", "Select a valid choice"),
        ({"package": "", "amount": ""}, "amount", "type an amount"),
        ({"package": "", "amount": "0.99"}, "amount", "From $1.00"),
    ],
)
def test_what_is_typed_wrong_is_said_beside_its_field(
    person: PersonClient, typed: dict[str, str], field: str, says: str
) -> None:
    answer = person.post(PAGE, GOOD | typed)

    errors = answer.context["form"].errors
    assert answer.status_code == 400
    assert list(errors) == [field]
    assert says in errors[field][0]
    assert not AutoTopUp.objects.exists()


def test_without_a_card_it_leads_to_the_page_to_save_one_and_back(
    person: PersonClient, rail: FakeChargingRail
) -> None:
    rail.card = None

    to_save = person.post(PAGE, GOOD)
    waiting = text_of(person.get(PAGE))
    back = person.get(f"{PAGE}/saved?page=cs_done", follow=True)

    assert to_save["Location"] == "https://pay.example.com/save"
    assert "Nothing is charged until then" in waiting
    assert row_of(person).is_on
    assert f"It charges {CARD}." in text_of(back)


def test_a_page_that_somebody_else_saved_a_card_on_changes_nothing(
    person: PersonClient, rail: FakeChargingRail
) -> None:
    rail.card = None
    person.post(PAGE, GOOD)
    other = signed_in()

    answer = other.get(f"{PAGE}/saved?page=cs_done", follow=True)

    assert "There is no such thing here" in text_of(answer)
    assert row_of(person).state == AutoTopUpState.WAITING


def test_a_provider_out_of_reach_is_said_and_nothing_is_switched_on(
    person: PersonClient, rail: FakeChargingRail
) -> None:
    rail.down = True

    answer = person.post(PAGE, GOOD)

    assert answer.status_code == 503
    assert str(RailUnavailable()) in text_of(answer)
    assert not AutoTopUp.objects.exists()


def test_it_says_so_where_it_is_not_offered(person: PersonClient, rail: FakeChargingRail) -> None:
    rail.why_not = "Tax is worked out at checkout."

    assert "Tax is worked out at checkout." in text_of(person.get(PAGE))
    assert person.post(PAGE, GOOD).status_code == 409


def test_a_member_who_only_looks_sees_it_and_changes_nothing() -> None:
    looking, _team = member_who_only_looks()

    assert "Only owners and billing members" in text_of(looking.get(PAGE))
    for path in (PAGE, f"{PAGE}/off", f"{PAGE}/card"):
        assert looking.post(path, GOOD).status_code == 403
    assert put(looking).status_code == 403
    assert not AutoTopUp.objects.exists()


def test_the_page_says_what_became_of_the_last_charges(
    person: PersonClient, rail: FakeChargingRail
) -> None:
    row = switched_on(owner(person.user), left=100)
    rail.outcome = ChargeAnswer("pi_slow", Result.UNDER_WAY)
    top_up()
    under_way = text_of(person.get(PAGE))
    (charge,) = row.charges.all()
    auto_top_up_charges.record(charge.order_id, declined())
    refused = text_of(person.get(PAGE))
    auto_top_ups.stop(person.customer.pk, AutoTopUpStop.DISPUTED)
    stopped = text_of(person.get(PAGE))

    assert "is under way" in under_way
    assert "Your card has insufficient funds." in refused
    assert "tried again on" in refused
    assert "A payment is disputed at the bank." in stopped


def test_the_page_asks_the_database_few_times(
    person: PersonClient, rail: FakeChargingRail, django_assert_max_num_queries: Any
) -> None:
    switched_on(owner(person.user), left=100)
    top_up()
    person.get(PAGE)

    with django_assert_max_num_queries(12):
        person.get(PAGE)


# -- over the API ---------------------------------------------------------------------------------


def test_a_person_switches_it_on_over_the_api_with_consent(person: PersonClient) -> None:
    assert put(person, consent=False).json()["error"]["fields"]["consent"]
    answer = put(person)

    assert (answer.status_code, answer.json()["state"]) == (200, "on")
    assert answer.json()["price"]["amount_minor"] == 5_00
    assert person.get(API).json()["card"] == CARD
    assert person.delete(API).json()["state"] == "off"


def test_without_a_card_the_answer_says_where_to_save_one(
    person: PersonClient, rail: FakeChargingRail
) -> None:
    rail.card = None

    answer = put(person).json()

    assert (answer["state"], answer["card_url"]) == ("waiting", "https://pay.example.com/save")


def test_a_program_cannot_switch_it_on_nor_let_it_charge_more(person: PersonClient) -> None:
    key = program(person.customer, "credits:read", "spending:write")

    off = put(key)
    switched_on(owner(person.user))
    wider = put(key, threshold_minor=501 * UNIT)
    lower = put(key, threshold_minor=400 * UNIT, monthly_max_minor=5_00)

    assert (off.status_code, code_of(off)) == (403, "owner_only")
    assert (wider.status_code, code_of(wider)) == (403, "owner_only")
    assert "signed-in person" in wider.json()["error"]["message"]
    assert lower.json()["threshold"]["amount_minor"] == 400 * UNIT
    assert AutoTopUpConsent.objects.count() == 1


def test_a_program_may_switch_it_off(person: PersonClient) -> None:
    switched_on(owner(person.user))

    answer = program(person.customer, "spending:write").delete(API)

    assert (answer.status_code, answer.json()["state"]) == (200, "off")


def test_a_key_without_the_scope_is_refused(person: PersonClient) -> None:
    key = program(person.customer, "credits:read")

    assert key.get(API).json()["state"] == "off"
    assert code_of(put(key)) == code_of(key.delete(API)) == "scope_missing"


@pytest.mark.parametrize(
    "changed",
    [
        {"package": None},
        {"amount_minor": 5_00},
        {"package": "gold"},
        {"threshold_minor": 0},
        {"monthly_max_minor": "15"},
        {"colour": "red"},
    ],
)
def test_a_body_that_makes_no_sense_is_refused(
    person: PersonClient, changed: dict[str, Any]
) -> None:
    answer = put(person, **changed)

    assert answer.status_code == 400
    assert not AutoTopUp.objects.exists()
