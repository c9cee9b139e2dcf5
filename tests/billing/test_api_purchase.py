"""Buying over the API: an order once per key, and where to pay it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from rest_framework.test import APIClient

from billing.models import Order
from tests.accounts.factories import PersonClient
from tests.billing.callers import code_of, member_who_only_looks, program, send
from tests.billing.fakes import FakeRail
from tests.factories import make_payment

pytestmark = pytest.mark.django_db

PATH = "/api/billing/credits/purchase"
SMALL = {"package": "small"}


@pytest.fixture
def till(client: PersonClient) -> APIClient:
    """A program that may buy, and look at what it bought."""
    return program(client.customer, "credits:purchase", "credits:read")


def test_a_package_becomes_an_order_with_a_pay_page(client: PersonClient, till: APIClient) -> None:
    response = send(till, PATH, SMALL)

    order = Order.objects.get(customer=client.customer)
    answer = response.json()
    assert response.status_code == 201
    assert answer["id"] == str(order.pk)
    assert answer["pay_url"] == f"https://pay.example.com/{order.pk}"
    assert (answer["state"], answer["rail"]) == ("open", "card")
    assert answer["total"] == {"amount_minor": 500, "asset": "USD", "display": "$5.00"}
    assert order.placed_by is None


def test_an_amount_becomes_credits_at_the_rate(client: PersonClient) -> None:
    response = send(client, PATH, {"amount_minor": 12_50, "rail": "card"})

    order = Order.objects.get(pk=response.json()["id"])
    assert order.snapshot["credits_minor"] == 6_250_000_000
    assert order.placed_by == client.user


def test_the_order_can_be_followed_until_it_is_delivered(till: APIClient) -> None:
    bought = send(till, PATH, SMALL).json()
    path = f"/api/billing/orders/{bought['id']}"
    assert till.get(path).json() == bought

    make_payment(Order.objects.get(), tax_minor=99)

    answer = till.get(path).json()
    assert (answer["state"], answer["pay_url"]) == ("delivered", None)
    assert (answer["tax"]["amount_minor"], answer["total"]["display"]) == (99, "$5.99")
    assert answer["delivered_at"]


def test_the_same_key_gets_the_same_order(till: APIClient, rail: FakeRail) -> None:
    first = send(till, PATH, SMALL, key="k")
    again = send(till, PATH, SMALL, key="k")

    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == len(rail.pages) == 1
    send(till, PATH, SMALL, key="other")
    send(till, PATH, SMALL)
    send(till, PATH, SMALL)
    assert Order.objects.count() == 4


def test_the_same_key_for_something_else_is_422(till: APIClient) -> None:
    send(till, PATH, SMALL, key="k")

    refused = send(till, PATH, {"package": "large"}, key="k")

    assert (refused.status_code, code_of(refused)) == (422, "idempotency_key_reused")
    assert Order.objects.count() == 1


def test_with_the_provider_down_the_key_goes_on_with_the_order_later(
    till: APIClient, rail: FakeRail
) -> None:
    rail.down = True
    refused = send(till, PATH, SMALL, key="k")
    rail.down = False

    response = send(till, PATH, SMALL, key="k")

    assert (refused.status_code, code_of(refused)) == (503, "rail_unavailable")
    assert response.status_code == 201
    assert UUID(response.json()["id"]) == Order.objects.get().pk


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"package": "huge"}, "unknown_package", "package"),
        ({"package": "pkg_100"}, "not_sold_that_way", "rail"),
        ({"package": 5}, "invalid_input", "package"),
        ({"package": ""}, "invalid_input", "package"),
        ({"package": "\x00"}, "invalid_input", "package"),
        ({"package": "\ud800"}, "malformed_request", None),
        ({"\ud800": 1}, "malformed_request", None),
        ({"package": "s" * 65}, "invalid_input", "package"),
        ({"amount_minor": 99}, "amount_out_of_range", "amount_minor"),
        ({"amount_minor": 100_001}, "amount_out_of_range", "amount_minor"),
        ({"amount_minor": 0}, "invalid_input", "amount_minor"),
        ({"amount_minor": -500}, "invalid_input", "amount_minor"),
        ({"amount_minor": 5.5}, "invalid_input", "amount_minor"),
        ({"amount_minor": 500.0}, "invalid_input", "amount_minor"),
        ({"amount_minor": "500"}, "invalid_input", "amount_minor"),
        ({"amount_minor": True}, "invalid_input", "amount_minor"),
        ({"amount_minor": None}, "invalid_input", "amount_minor"),
        ({"amount_minor": [500]}, "invalid_input", "amount_minor"),
        ({"amount_minor": 10**30}, "invalid_input", "amount_minor"),
        ({"package": "small", "price": 1}, "invalid_input", "price"),
        ({"package": "small", "rail": "cowries"}, "rail_not_available", None),
        ({"package": "small", "amount_minor": 500}, "invalid_input", None),
        ({}, "invalid_input", None),
        ([], "invalid_input", None),
        ("small", "invalid_input", None),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    till: APIClient, body: Any, code: str, field: str | None
) -> None:
    response = send(till, PATH, body)

    assert (response.status_code, code_of(response)) == (400, code)
    assert list(response.json()["error"].get("fields", [])) == ([field] if field else [])
    assert not Order.objects.exists()


@pytest.mark.parametrize("body", ["{", "", "[" * 10_000, '{"amount_minor": 1e999}', "\xff"])
def test_what_is_no_json_is_400(till: APIClient, body: str) -> None:
    response = till.post(PATH, body.encode("latin-1"), content_type="application/json")

    assert response.status_code == 400
    assert code_of(response) in {"malformed_request", "invalid_input"}


@pytest.mark.parametrize("body", ['{"amount_minor": ' + "9" * 5000 + "}", '{"amount_minor": NaN}'])
def test_numbers_that_are_none_are_400(till: APIClient, body: str) -> None:
    response = till.post(PATH, body, content_type="application/json")

    assert response.status_code == 400


@pytest.mark.parametrize("url", ["/billing/", "/billing/statement?kind=usage", ""])
def test_it_may_name_a_path_of_ours_to_go_on_to(till: APIClient, url: str) -> None:
    response = send(till, PATH, SMALL | {"return_url": url})

    assert (response.status_code, response.json()["return_url"]) == (201, url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/",
        "//evil.example.com/",
        "/\\evil.example.com",
        "/\t/evil.example.com",
        "javascript:alert(1)",
        "billing",
        "/" * 2 + "x",
        "/" + "x" * 500,
    ],
)
def test_it_may_not_send_people_elsewhere(till: APIClient, url: str) -> None:
    response = send(till, PATH, SMALL | {"return_url": url})

    assert response.status_code == 400
    assert list(response.json()["error"]["fields"]) == ["return_url"]


def test_a_key_needs_the_scope_and_a_person_the_role(client: PersonClient) -> None:
    reading = program(client.customer, "credits:read", "quota:write")
    looking, _ = member_who_only_looks()

    assert code_of(send(reading, PATH, SMALL)) == "scope_missing"
    assert code_of(send(looking, PATH, SMALL)) == "role_insufficient"
    assert send(PersonClient(), PATH, SMALL).status_code == 401
    assert not Order.objects.exists()


def test_a_browser_needs_its_csrf_token(client: PersonClient) -> None:
    strict = PersonClient(enforce_csrf_checks=True)
    strict.force_login(client.user, backend="django.contrib.auth.backends.ModelBackend")

    response = send(strict, PATH, SMALL)

    assert (response.status_code, code_of(response)) == (403, "csrf_failed")


def test_purchases_are_limited_in_number(till: APIClient) -> None:
    # Twice the limit and one: of a minute, or of two that meet here, one is full.
    answers = [send(till, PATH, {}).status_code for _ in range(61)]

    assert answers[:30] == [400] * 30
    assert 429 in answers
