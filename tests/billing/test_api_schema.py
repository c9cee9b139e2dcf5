"""The OpenAPI document: complete, valid, and true of the answers."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import jsonschema
import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from billing import ledger
from billing.money import CREDIT
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import program, send
from tests.billing.fakes import FakeRenewingRail
from tests.billing.subscribers import subscribe
from tests.factories import make_order, make_payment
from tests.security.table import ADMIN, PORTAL, For

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document, made without a warning."""
    out = StringIO()
    call_command("spectacular", format="openapi-json", validate=True, fail_on_warn=True, stdout=out)
    return dict(json.loads(out.getvalue()))


def check(document: dict[str, Any], path: str, method: str, response: Any) -> None:
    """The answer is what the document says of this operation and status."""
    operation = document["paths"][path][method]
    described = operation["responses"].get(str(response.status_code))
    assert described, f"{method} {path} says nothing of {response.status_code}"
    schema = described["content"]["application/json"]["schema"]
    whole = {**_with_null(schema), "components": _with_null(document["components"])}
    jsonschema.validate(response.json(), whole, format_checker=jsonschema.FormatChecker())


def _with_null(node: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` as JSON Schema says it; and no fields but those described."""
    if isinstance(node, list):
        return [_with_null(one) for one in node]
    if not isinstance(node, dict):
        return node
    inner = {name: _with_null(value) for name, value in node.items() if name != "nullable"}
    if "properties" in inner and inner.get("type") == "object":
        inner.setdefault("additionalProperties", False)
    return {"anyOf": [inner, {"type": "null"}]} if node.get("nullable") is True else inner


def test_every_operation_says_who_may_and_what_it_refuses(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        if path.startswith("/api/admin/"):
            assert item["get"]["security"] == [{"session": []}]
            assert "Staff only." in item["get"]["description"]
            assert item["get"]["responses"]["default"]
            continue
        for operation in (item[method] for method in ("get", "post") if method in item):
            schemes = {name for way in operation["security"] for name in way}
            assert schemes == {"apiKey", "session"}, path
            assert "Scope: `" in operation["description"], path
            assert operation["responses"]["default"] == {"$ref": "#/components/responses/Error"}


def test_every_call_of_ours_is_described(document: dict[str, Any]) -> None:
    calls = {f"/{route}" for route, entry in PORTAL.items() if entry.whose is For.CALLER}
    calls |= {f"/{route}" for route, entry in ADMIN.items() if route.startswith("api/")}
    described = {re.sub(r"\{(\w+_id)\}", r"<uuid:\1>", path) for path in document["paths"]}

    assert described == calls


def test_every_post_listens_to_its_key(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        if "post" in item:
            names = [one["name"] for one in item["post"]["parameters"]]
            assert "Idempotency-Key" in names, path


@pytest.fixture
def caller(client: PersonClient) -> APIClient:
    """A program of somebody who bought, and holds."""
    order = make_order(customer=client.customer)
    make_payment(order, tax_minor=99)
    make_payment(order)
    return program(client.customer, "credits:read", "credits:purchase", "quota:write")


@pytest.mark.parametrize(
    "path", ["config", "credits", "credits/history", "transactions", "orders/{order_id}"]
)
def test_what_is_read_is_as_described(
    client: PersonClient, caller: APIClient, document: dict[str, Any], path: str
) -> None:
    order = make_order(customer=client.customer)

    for order_id in (order.pk, client.customer.pk):
        response = caller.get(f"/api/billing/{path}".replace("{order_id}", str(order_id)))
        check(document, f"/api/billing/{path}", "get", response)


@pytest.mark.django_db(transaction=True)
def test_what_is_done_is_as_described(
    client: PersonClient, caller: APIClient, document: dict[str, Any]
) -> None:
    purchase, hold = "/api/billing/credits/purchase", "/api/quota/holds"
    for slug in ("small", "none"):
        check(document, purchase, "post", send(caller, purchase, {"package": slug}))
    made = send(caller, hold, {"amount_minor": 5, "reference": "r"})
    check(document, hold, "post", made)
    check(document, hold, "post", send(caller, hold, {"amount_minor": 10**15}))

    one = f"{hold}/{made.json()['id']}"
    check(document, hold + "/{hold_id}", "get", caller.get(one))
    for act, body in (
        ("capture", {"amount_minor": 6}),
        ("capture", {}),
        ("release", {}),
        ("capture", {"amount_minor": 4}),
    ):
        path = f"{hold}/{{hold_id}}/{act}"
        check(document, path, "post", send(caller, f"{one}/{act}", body))

    wallet = ledger.wallet(client.customer, CREDIT)
    assert (wallet.balance_minor, wallet.held_minor) == (4_999_999_995, 0)


@pytest.mark.django_db(transaction=True)
def test_subscriptions_are_as_described(
    renewing_rail: FakeRenewingRail, document: dict[str, Any]
) -> None:
    person = signed_in()
    caller = program(person.customer, "subscription:read", "subscription:write")
    up = {"plan": "premium", "interval": "month"}

    def get(name: str) -> None:
        path = f"/api/billing/{name}"
        check(document, path, "get", caller.get(path))

    def post(name: str, body: object) -> Any:
        path = f"/api/billing/{name}"
        response = send(caller, path, body)
        check(document, path, "post", response)
        return response.json()

    for name in ("plans", "subscription", "portal"):
        get(name)
    for name, body in (("cancel", {}), ("resume", {}), ("upgrade", up | {"preview": True})):
        post(name, body)  # nothing to act on
    post("subscribe", {"plan": "basic", "interval": "month"})
    subscribe(person, renewing_rail)
    post("subscribe", {"plan": "basic", "interval": "month"})
    for name in ("plans", "subscription"):
        get(name)
    quote = post("upgrade", up | {"preview": True})["quote"]
    post("upgrade", up)
    post("upgrade", up | {"token": quote["token"]})
    down = {"plan": "basic", "interval": "year"}
    quote = post("upgrade", down | {"preview": True})["quote"]
    post("upgrade", down | {"token": quote["token"]})
    for name in ("resume", "cancel", "resume"):
        post(name, {})
    get("subscription")
    post("portal", {})
    renewing_rail.down = True
    for name in ("cancel", "portal"):
        post(name, {})
