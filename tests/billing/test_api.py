"""Reading over the API: configuration, balance, history, transactions."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from billing import ledger, selectors
from billing.models import Code
from billing.money import CREDIT
from billing.services import rails, refunds
from tests.accounts.factories import PersonClient
from tests.billing.callers import code_of, program
from tests.billing.fakes import FakeRail
from tests.factories import NOW, make_order, make_payment

pytestmark = pytest.mark.django_db

READS = [
    "/api/billing/config",
    "/api/billing/credits",
    "/api/billing/credits/history",
    "/api/billing/transactions",
]


def read(client: Any, path: str, **query: str) -> Any:
    response = client.get(f"/api/billing/{path}", query)
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.parametrize("path", READS)
def test_a_key_reads_what_its_person_reads(client: PersonClient, path: str) -> None:
    make_payment(make_order(customer=client.customer))

    by_key = program(client.customer, "credits:read").get(path)

    assert (by_key.status_code, by_key.json()) == (200, client.get(path).json())


@pytest.mark.parametrize("path", READS)
def test_a_key_without_the_scope_reads_nothing(client: PersonClient, path: str) -> None:
    response = program(client.customer, "quota:write", "credits:purchase").get(path)

    assert (response.status_code, code_of(response)) == (403, "scope_missing")


@pytest.mark.parametrize("path", READS)
def test_nobody_reads_without_signing_in(rail: FakeRail, path: str) -> None:
    assert PersonClient().get(path).status_code == 401


def test_the_configuration_says_what_can_be_bought(client: PersonClient) -> None:
    config = read(client, "config")

    assert config["rails"] == [{"name": "card", "title": "Fake card", "assets": ["USD"]}]
    assert [pack["slug"] for pack in config["packages"]] == ["small", "medium", "large"]
    assert config["packages"][0]["credits"]["amount_minor"] == 2_500_000_000
    assert config["packages"][0]["prices"] == [
        {"amount_minor": 500, "asset": "USD", "display": "$5.00"}
    ]
    assert config["rates"][0]["credits"]["display"] == "500 credits"
    assert config["custom_amount"]["min"]["amount_minor"] == 100
    assert {"code": "CREDIT", "exponent": 6} in config["assets"]
    assert config["holds"]["max_ttl_seconds"] == 86_400


def test_a_rail_that_is_off_leaves_no_trace(client: PersonClient) -> None:
    assert "XTR" not in str(read(client, "config"))
    rails.clear()

    config = read(client, "config")

    assert (config["rails"], config["packages"], config["rates"]) == ([], [], [])
    assert config["custom_amount"] is None
    assert "USD" not in str(config)


def test_the_configuration_holds_no_secret(client: PersonClient) -> None:
    with override_settings(STRIPE_SECRET_KEY="sk_test_very_secret"):
        assert "secret" not in str(read(client, "config"))


def test_the_balance_says_what_is_spendable_held_and_owed(client: PersonClient) -> None:
    make_payment(make_order(customer=client.customer))
    wallet = ledger.wallet(client.customer, CREDIT)
    ledger.reserve(wallet, 5, code=Code.USAGE, key="h", deadline_at=None, occurred_at=NOW)

    answer = read(client, "credits")

    assert answer["spendable"]["amount_minor"] == 2_499_999_995
    assert answer["held"] == {"amount_minor": 5, "asset": "CREDIT", "display": "0.000005 credits"}
    assert answer["debt"]["amount_minor"] == 0
    assert [lot["remaining"]["display"] for lot in answer["lots"]] == ["2,500 credits"]
    ledger.claw_back(wallet, 3_000_000_000, key="c", group="c", occurred_at=NOW)
    assert read(client, "credits")["debt"]["amount_minor"] == 500_000_005


def test_history_runs_its_balance_over_pages(client: PersonClient) -> None:
    order = make_order(customer=client.customer)
    make_payment(order)
    wallet = ledger.wallet(client.customer, CREDIT)
    for number in range(5):
        ledger.spend(wallet, 10, code=Code.USAGE, key=f"u{number}", occurred_at=NOW)

    rows: list[Any] = []
    answer = read(client, "credits/history", limit="2")
    rows += answer["results"]
    while answer["next_cursor"]:
        answer = read(client, "credits/history", limit="2", cursor=answer["next_cursor"])
        rows += answer["results"]

    assert [row["amount"]["amount_minor"] for row in rows] == [-10] * 5 + [2_500_000_000]
    balances = [row["balance"]["amount_minor"] for row in rows]
    assert balances == [2_499_999_950 + 10 * number for number in range(6)]
    assert rows[-1]["order_id"] == str(order.pk)
    assert rows[-1]["description"] == "Bought: Small credit pack"
    assert len({row["id"] for row in rows}) == 6


def test_history_can_be_narrowed(client: PersonClient) -> None:
    make_payment(make_order(customer=client.customer))
    wallet = ledger.wallet(client.customer, CREDIT)
    ledger.spend(wallet, 10, code=Code.USAGE, key="u", occurred_at=NOW)

    assert [row["kind"] for row in read(client, "credits/history", kind="usage")["results"]] == [
        "usage"
    ]
    assert read(client, "credits/history", since="2199-01-01")["results"] == []
    assert read(client, "credits/history", until="2001-01-01")["results"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("kind=everything", "kind"),
        ("since=yesterday", "since"),
        ("since=0001-01-01", "since"),
        ("until=9999-12-31", "until"),
        ("until=%00", "until"),
        ("cursor=" + "x" * 501, "cursor"),
        ("cursor=%00", "cursor"),
    ],
)
def test_a_hostile_query_names_its_field(client: PersonClient, query: str, field: str) -> None:
    make_payment(make_order(customer=client.customer))

    response = client.get(f"/api/billing/credits/history?{query}")

    assert (response.status_code, code_of(response)) == (400, "invalid_input")
    assert list(response.json()["error"]["fields"]) == [field]


@pytest.mark.parametrize("path", ["credits/history", "transactions"])
@pytest.mark.parametrize("cursor", ["nonsense", "e30", ":::", "ü", "%F0%9F", "-1"])
def test_a_made_up_cursor_is_refused(client: PersonClient, path: str, cursor: str) -> None:
    make_payment(make_order(customer=client.customer))

    response = client.get(f"/api/billing/{path}?cursor={cursor}")

    assert (response.status_code, code_of(response)) == (400, "cursor_invalid")


def test_transactions_say_how_each_stands(client: PersonClient) -> None:
    order = make_order(customer=client.customer)
    payment = make_payment(order, tax_minor=99)
    refunds.send(refunds.request(payment.pk, reason="r", amount_minor=1_00).pk)
    with override_settings(UNAPPLIED_POLICY="hold"):
        extra = make_payment(order)

    rows = read(client, "transactions")["results"]

    assert [(row["id"], row["order_id"], row["state"]) for row in rows] == [
        (str(extra.pk), None, "unapplied"),
        (str(order.pk), str(order.pk), "refunded_in_part"),
    ]
    assert rows[0]["note"] == "The order was already paid."
    assert rows[1]["payment_id"] == str(payment.pk)
    assert rows[1]["total"]["display"] == "$5.99"
    assert rows[1]["refunded"]["amount_minor"] == 100


@pytest.mark.parametrize("path", READS[1:])
def test_an_answer_takes_as_many_queries_for_many_rows_as_for_one(
    client: PersonClient, path: str
) -> None:
    make_payment(make_order(customer=client.customer))
    client.get(path)
    with CaptureQueriesContext(connection) as few:
        client.get(path)
    for _ in range(8):
        make_payment(make_order(customer=client.customer))

    with CaptureQueriesContext(connection) as many:
        client.get(path)

    assert len(many) == len(few)


def test_an_order_is_only_its_customers_own(client: PersonClient) -> None:
    mine, theirs = make_order(customer=client.customer), make_order()

    assert read(client, f"orders/{mine.pk}")["state"] == "open"
    response = client.get(f"/api/billing/orders/{theirs.pk}")
    assert (response.status_code, code_of(response)) == (404, "not_found")


def test_reading_writes_nothing(client: PersonClient) -> None:
    for path in READS:
        client.get(path)

    assert selectors.wallet(client.customer) is None
