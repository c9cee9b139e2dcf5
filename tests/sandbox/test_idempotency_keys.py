"""Idempotency keys, as Stripe keeps them."""

from __future__ import annotations

import threading

import httpx
import pytest
import stripe

from tests.sandbox.server import API_KEY, Sandbox


def create(sandbox: Sandbox, key: str, **params: str) -> httpx.Response:
    """A customer, over bare HTTP so that headers can be seen."""
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": key}
    return sandbox.http.post("/v1/customers", data=params, headers=headers)


def customers(sandbox: Sandbox) -> int:
    return len(sandbox.api().v1.customers.list().data)


def test_the_same_key_gives_the_first_answer_again(sandbox: Sandbox) -> None:
    first = create(sandbox, "k", name="A", email="a@example.com")
    again = create(sandbox, "k", email="a@example.com", name="A")

    assert again.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["original-request"] == first.headers["request-id"]
    assert customers(sandbox) == 1
    assert sandbox.event_types() == ["customer.created"]


def test_the_same_key_with_other_parameters_is_an_error(sandbox: Sandbox) -> None:
    create(sandbox, "k", name="A")

    other = create(sandbox, "k", name="B")

    assert other.status_code == 400
    assert other.json()["error"]["type"] == "idempotency_error"
    assert customers(sandbox) == 1


def test_the_library_raises_its_own_error_for_a_changed_request(sandbox: Sandbox) -> None:
    api = sandbox.api().v1
    api.customers.create(params={"name": "A"}, options={"idempotency_key": "k"})

    with pytest.raises(stripe.IdempotencyError):
        api.customers.create(params={"name": "B"}, options={"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError):
        api.products.create(params={"name": "A"}, options={"idempotency_key": "k"})


def test_a_refused_parameter_does_not_use_the_key_up(sandbox: Sandbox) -> None:
    assert create(sandbox, "k", nome="A").status_code == 400

    assert create(sandbox, "k", name="A").status_code == 200


def test_a_refusal_in_the_middle_of_the_work_is_remembered(sandbox: Sandbox) -> None:
    session = sandbox.paid()
    sandbox.api().v1.refunds.create(params={"payment_intent": str(session.payment_intent)})
    headers = {"Authorization": f"Bearer {API_KEY}", "Idempotency-Key": "k"}
    body = {"payment_intent": str(session.payment_intent)}

    answers = [sandbox.http.post("/v1/refunds", data=body, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[1].headers["idempotent-replayed"] == "true"


def test_a_key_that_is_in_flight_gets_409(sandbox: Sandbox) -> None:
    sandbox.control(
        "faults", kind="api", path="/v1/customers", answer="ok", delay_seconds=0.6, method="POST"
    )
    answers: list[httpx.Response] = []
    slow = threading.Thread(target=lambda: answers.append(create(sandbox, "k", name="A")))
    slow.start()
    while sandbox.look("stripe/faults")["data"]:
        pass  # the slow call has begun once it has used the fault up

    second = create(sandbox, "k", name="A")
    slow.join()

    assert second.status_code == 409
    assert second.json()["error"]["code"] == "idempotency_key_in_use"
    assert answers[0].status_code == 200
    assert create(sandbox, "k", name="A").headers["idempotent-replayed"] == "true"
    assert customers(sandbox) == 1


def test_keys_are_forgotten_after_a_day(sandbox: Sandbox) -> None:
    first = create(sandbox, "k", name="A").json()["id"]

    sandbox.control("clock", advance_seconds=20 * 3600)
    assert create(sandbox, "k", name="A").json()["id"] == first
    sandbox.control("clock", advance_seconds=5 * 3600)
    assert create(sandbox, "k", name="A").json()["id"] != first


def test_a_key_can_have_255_characters(sandbox: Sandbox) -> None:
    assert create(sandbox, "k" * 255).status_code == 200
    assert create(sandbox, "k" * 256).status_code == 400
