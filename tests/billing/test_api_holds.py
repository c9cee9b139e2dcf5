"""Holds over the API: set aside, take, give back; once each, whoever repeats it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from billing import ledger, selectors
from billing.models import Hold, LedgerAccount, Transfer
from billing.money import CREDIT, FLUX
from billing.services import refunds
from common import clock
from common.idempotency import RETENTION
from common.models import IdempotencyKey
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import code_of, member_who_only_looks, program, send
from tests.factories import NOW, make_order, make_payment, make_wallet

pytestmark = pytest.mark.django_db

PATH = "/api/quota/holds"


@pytest.fixture
def wallet(client: PersonClient) -> LedgerAccount:
    """1,000 smallest units of credits."""
    return make_wallet(customer=client.customer, credits_minor=1000)


@pytest.fixture
def gate(client: PersonClient, wallet: LedgerAccount) -> APIClient:
    """A program that checks before it works."""
    return program(client.customer, "quota:write")


def held(gate: APIClient, amount_minor: int = 300, **fields: Any) -> str:
    """The path of a new hold."""
    response = send(gate, PATH, {"amount_minor": amount_minor, **fields})
    assert response.status_code == 201, response.content
    return f"{PATH}/{response.json()['id']}"


def left(wallet: LedgerAccount) -> tuple[int, int]:
    """Balance and held."""
    wallet.refresh_from_db()
    return wallet.balance_minor or 0, wallet.held_minor or 0


# -- making ---------------------------------------------------------------------------------------


def test_a_hold_sets_units_aside(gate: APIClient, wallet: LedgerAccount) -> None:
    with clock.frozen(NOW):
        response = send(gate, PATH, {"amount_minor": 300, "reference": "job 7"})

    answer = response.json()
    assert response.status_code == 201
    assert answer["state"] == "held"
    assert answer["amount"]["amount_minor"] == 300
    assert (answer["unit"], answer["reference"]) == ("CREDIT", "job 7")
    assert answer["expires_at"] == "2026-11-20T12:15:00Z"
    assert left(wallet) == (1000, 300)
    assert gate.get(f"{PATH}/{answer['id']}").json() == answer


def test_a_unit_and_a_time_may_be_named(gate: APIClient, client: PersonClient) -> None:
    flux = ledger.wallet(client.customer, FLUX)
    ledger.grant(flux, 5, code="purchase", key="f", group="f", occurred_at=NOW, origin="p")

    with clock.frozen(NOW):
        answer = send(gate, PATH, {"unit": "FLUX", "amount_minor": 5, "ttl_seconds": 1}).json()

    assert answer["amount"] == {"amount_minor": 5, "asset": "FLUX", "display": "5 FLUX"}
    assert answer["expires_at"] == "2026-11-20T12:00:01Z"


def test_a_hold_comes_back_by_itself_after_its_time(gate: APIClient, wallet: LedgerAccount) -> None:
    path = held(gate, ttl_seconds=60)

    ledger.expire_holds(occurred_at=clock.now() + timedelta(seconds=61))

    assert gate.get(path).json()["state"] == "expired"
    assert left(wallet) == (1000, 0)
    assert code_of(send(gate, f"{path}/capture")) == "hold_closed"


@pytest.mark.django_db(transaction=True)
def test_what_is_not_there_cannot_be_held(gate: APIClient, wallet: LedgerAccount) -> None:
    held(gate, 800)

    refused = send(gate, PATH, {"amount_minor": 201})

    assert (refused.status_code, code_of(refused)) == (402, "insufficient_funds")
    assert left(wallet) == (1000, 800)
    empty = send(gate, PATH, {"unit": "KLING", "amount_minor": 1})
    assert code_of(empty) == "insufficient_funds"


@pytest.mark.django_db(transaction=True)
def test_who_owes_holds_nothing(gate: APIClient, wallet: LedgerAccount) -> None:
    ledger.claw_back(wallet, 1001, key="c", group="c", occurred_at=NOW)

    refused = send(gate, PATH, {"amount_minor": 1})

    assert (refused.status_code, code_of(refused)) == (402, "in_debt")


@pytest.mark.django_db(transaction=True)
def test_a_spend_cap_holds(gate: APIClient, wallet: LedgerAccount) -> None:
    ledger.set_spend_cap(wallet, 500, anchor_at=NOW, zone="UTC", at=clock.now())
    held(gate, 400)

    refused = send(gate, PATH, {"amount_minor": 101})

    assert (refused.status_code, code_of(refused)) == (402, "spend_cap_reached")
    assert left(wallet) == (1000, 400)


# -- once -----------------------------------------------------------------------------------------


def test_the_same_key_holds_once(gate: APIClient, wallet: LedgerAccount) -> None:
    first = send(gate, PATH, {"amount_minor": 300}, key="k")
    again = send(gate, PATH, {"amount_minor": 300}, key="k")

    assert again.json() == first.json()
    assert left(wallet) == (1000, 300)


@pytest.mark.parametrize("key", ["k", "k" * 255])
def test_it_holds_once_even_when_the_answer_is_forgotten(
    gate: APIClient, wallet: LedgerAccount, key: str
) -> None:
    first = send(gate, PATH, {"amount_minor": 300}, key=key)
    IdempotencyKey.objects.all().delete()

    again = send(gate, PATH, {"amount_minor": 300}, key=key)

    assert again.json() == first.json()
    assert "Idempotent-Replayed" not in again
    assert left(wallet) == (1000, 300)


@pytest.mark.django_db(transaction=True)
def test_long_after_the_same_key_with_another_amount_is_refused(
    gate: APIClient, wallet: LedgerAccount
) -> None:
    with clock.frozen(NOW) as hands:
        send(gate, PATH, {"amount_minor": 300}, key="k")
        hands.move(RETENTION)

        refused = send(gate, PATH, {"amount_minor": 301}, key="k")

    assert (refused.status_code, code_of(refused)) == (422, "idempotency_mismatch")
    assert left(wallet) == (1000, 300)


def test_without_a_key_each_call_is_an_act_of_its_own(
    gate: APIClient, wallet: LedgerAccount
) -> None:
    held(gate, 100)
    held(gate, 100)

    assert left(wallet) == (1000, 200)


def test_keys_of_two_customers_do_not_meet(gate: APIClient, wallet: LedgerAccount) -> None:
    stranger = signed_in()
    make_wallet(customer=stranger.customer, credits_minor=50)
    mine = send(gate, PATH, {"amount_minor": 300}, key="k").json()

    theirs = send(stranger, PATH, {"amount_minor": 20}, key="k").json()

    assert mine["id"] != theirs["id"]


# -- capture and release --------------------------------------------------------------------------


def test_a_capture_takes_all_or_part_and_the_rest_comes_back(
    gate: APIClient, wallet: LedgerAccount
) -> None:
    whole, part = held(gate, 300), held(gate, 300)

    assert send(gate, f"{whole}/capture").json()["captured"]["amount_minor"] == 300
    answer = send(gate, f"{part}/capture", {"amount_minor": 100}).json()

    assert (answer["state"], answer["captured"]["amount_minor"]) == ("captured", 100)
    assert left(wallet) == (600, 0)


def test_a_capture_is_taken_once(gate: APIClient, wallet: LedgerAccount) -> None:
    path = held(gate)

    answers = [
        send(gate, f"{path}/capture", {"amount_minor": 100}, key=key) for key in ("a", "b", None)
    ]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert left(wallet) == (900, 0)
    assert Transfer.objects.filter(source=wallet).count() == 1


def test_the_statement_shows_what_a_capture_was_for(
    client: PersonClient, gate: APIClient, wallet: LedgerAccount
) -> None:
    send(gate, f"{held(gate, reference='job 7')}/capture")

    assert selectors.statement(wallet, limit=1).rows[0].description == "Used: job 7"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("first", "then", "body"),
    [
        ("capture", "capture", {"amount_minor": 299}),
        ("capture", "release", {}),
        ("release", "capture", {}),
    ],
)
def test_a_closed_hold_stays_closed(
    gate: APIClient, wallet: LedgerAccount, first: str, then: str, body: dict[str, int]
) -> None:
    path = held(gate)
    send(gate, f"{path}/{first}")
    before = left(wallet)

    refused = send(gate, f"{path}/{then}", body)

    assert (refused.status_code, code_of(refused)) == (409, "hold_closed")
    assert left(wallet) == before


@pytest.mark.django_db(transaction=True)
def test_no_more_is_captured_than_was_held(gate: APIClient, wallet: LedgerAccount) -> None:
    refused = send(gate, f"{held(gate)}/capture", {"amount_minor": 301})

    assert (refused.status_code, code_of(refused)) == (422, "exceeds_original")
    assert left(wallet) == (1000, 300)


def test_a_release_gives_everything_back_once(gate: APIClient, wallet: LedgerAccount) -> None:
    path = held(gate)

    answers = [send(gate, f"{path}/release").json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0]["state"] == "released"
    assert left(wallet) == (1000, 0)


# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "amount_minor"),
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 10**15 + 1}, "amount_minor"),
        ({"amount_minor": "1"}, "amount_minor"),
        ({"amount_minor": 1, "unit": "USD"}, "unit"),
        ({"amount_minor": 1, "unit": "credit"}, "unit"),
        ({"amount_minor": 1, "unit": {}}, "unit"),
        ({"amount_minor": 1, "ttl_seconds": 0}, "ttl_seconds"),
        ({"amount_minor": 1, "ttl_seconds": 86_401}, "ttl_seconds"),
        ({"amount_minor": 1, "ttl_seconds": 1.5}, "ttl_seconds"),
        ({"amount_minor": 1, "reference": "r" * 121}, "reference"),
        ({"amount_minor": 1, "reference": "a\nb"}, "reference"),
        ({"amount_minor": 1, "reference": "a\x00b"}, "reference"),
        ({"amount_minor": 1, "reference": 7}, "reference"),
        ({"amount_minor": 1, "amount": 1}, "amount"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    gate: APIClient, wallet: LedgerAccount, body: dict[str, Any], field: str
) -> None:
    response = send(gate, PATH, body)

    assert (response.status_code, code_of(response)) == (400, "invalid_input")
    assert list(response.json()["error"]["fields"]) == [field]
    assert left(wallet) == (1000, 0)


@pytest.mark.parametrize("act", ["capture", "release"])
def test_unknown_fields_are_refused_everywhere(gate: APIClient, act: str) -> None:
    response = send(gate, f"{held(gate)}/{act}", {"amout_minor": 1})

    assert list(response.json()["error"]["fields"]) == ["amout_minor"]


def test_the_largest_amount_is_a_number_like_others(gate: APIClient) -> None:
    assert code_of(send(gate, PATH, {"amount_minor": 10**15})) == "insufficient_funds"


def test_a_reference_may_be_in_any_language(gate: APIClient) -> None:
    path = held(gate, reference="Übersetzung № 7 – 翻訳")

    assert gate.get(path).json()["reference"] == "Übersetzung № 7 – 翻訳"


def test_holds_are_their_customers_own(gate: APIClient, wallet: LedgerAccount) -> None:
    path = held(gate)
    stranger = program(signed_in().customer, "quota:write")

    assert stranger.get(path).status_code == 404
    for act in ("capture", "release"):
        refused = send(stranger, f"{path}/{act}")
        assert (refused.status_code, code_of(refused)) == (404, "not_found")
    assert left(wallet) == (1000, 300)


def test_what_a_refund_has_pinned_is_not_for_programs(client: PersonClient) -> None:
    payment = make_payment(make_order(customer=client.customer))
    refunds.request(payment.pk, reason="r")
    pinned = Hold.objects.get()

    for path in (f"{PATH}/{pinned.pk}/release", f"{PATH}/{pinned.pk}/capture"):
        assert send(client, path).status_code == 404
    assert client.get(f"{PATH}/{pinned.pk}").status_code == 404
    pinned.refresh_from_db()
    assert pinned.state == "held"


def test_a_key_needs_the_scope_and_a_person_the_role(
    client: PersonClient, wallet: LedgerAccount
) -> None:
    looking, team = member_who_only_looks()
    make_wallet(customer=team, credits_minor=10)
    reading = program(client.customer, "credits:read", "credits:purchase")

    assert code_of(send(reading, PATH, {"amount_minor": 1})) == "scope_missing"
    assert code_of(send(looking, PATH, {"amount_minor": 1})) == "role_insufficient"
    assert send(PersonClient(), PATH, {"amount_minor": 1}).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_no_more_than_there_is_is_held(
    client: PersonClient, wallet: LedgerAccount, gate: APIClient
) -> None:
    def hold(number: int) -> int:
        try:
            return int(send(gate, PATH, {"amount_minor": 300}, key=f"k{number % 8}").status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(hold, range(16)))

    assert left(wallet) == (1000, 900)
    assert {201, 402} <= set(answers) <= {201, 402, 409}
    assert selectors.balance(client.customer).spendable.amount_minor == 100
    assert selectors.balance(client.customer).held.asset == CREDIT
