"""What the sandbox says has the shape that Stripe's own types declare."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import stripe

from sandbox.stripe import API_VERSION
from tests.contract import billing_life, life, people_life, stripe_types
from tests.sandbox import plans
from tests.sandbox.server import Sandbox


@pytest.fixture(scope="module")
def lived(running_sandbox: tuple[Sandbox, object]) -> Sandbox:
    """A sandbox in which everything has happened."""
    sandbox = running_sandbox[0]
    sandbox.http.post("/_sandbox/reset", json={}).raise_for_status()
    life.live(sandbox)
    return sandbox


def test_types_library_and_sandbox_are_of_one_api_version() -> None:
    assert stripe_types.schema()["apiVersion"] == stripe.api_version == API_VERSION


def test_every_type_of_event_has_happened(lived: Sandbox) -> None:
    assert set(lived.event_types()) == life.EVENTS


def test_every_answer_has_the_declared_shape(lived: Sandbox) -> None:
    checked = set()
    wrong = set()
    for asked, answer in life.everything(lived):
        for obj in answer["data"] if answer["object"] == "list" else [answer]:
            shown = json.dumps(obj, sort_keys=True)
            if shown not in checked:  # most are both listed and asked for one by one
                checked.add(shown)
                wrong |= {f"{asked}: {line}" for line in stripe_types.differences(obj)}

    assert not wrong, "\n".join(sorted(wrong)[:40])
    assert len(checked) > 500


def test_answers_of_changes_have_the_declared_shape(lived: Sandbox) -> None:
    api = lived.api().v1
    product = api.products.create(params={"name": "Short-lived"})
    endpoint = api.webhook_endpoints.create(
        params={"url": "http://127.0.0.1:1/", "enabled_events": ["price.created"]}
    )
    answers: list[stripe.StripeObject] = [
        product,
        api.products.delete(product.id),
        endpoint,
        api.webhook_endpoints.update(endpoint.id, params={"disabled": True}),
        api.webhook_endpoints.delete(endpoint.id),
        lived.session(expand=["line_items"]),
    ]

    raw: list[Any] = [answer.last_response.data for answer in answers if answer.last_response]
    raw += (previews := list(billing_life.previews(lived)))
    wrong = [line for answer in raw for line in stripe_types.differences(answer)]

    assert len(raw) == len(answers) + len(previews) > len(answers)
    assert not wrong


@pytest.mark.parametrize("after", ["hosted_confirmation", "redirect", "portal_homepage"])
def test_portal_sessions_have_the_declared_shape(lived: Sandbox, after: str) -> None:
    owner = plans.customer(lived)
    plans.subscribe(lived, owner, plans.price(lived, 500))

    answers = people_life.sessions(lived, owner, after=after)

    assert [answer["flow"]["after_completion"]["type"] for answer in answers] == [after] * 2
    assert not [line for answer in answers for line in stripe_types.differences(answer)]


def test_a_missing_and_an_ill_typed_field_are_noticed(lived: Sandbox) -> None:
    charge: dict[str, Any] = life.get(lived, "/v1/charges")["data"][0]
    missing = copy.deepcopy(charge)
    del missing["outcome"]["type"]
    ill_typed = {**charge, "amount": str(charge["amount"])}
    misnamed = {**charge, "object": "charges"}

    assert not stripe_types.differences({**charge, "more": 1})
    assert any("outcome" in line for line in stripe_types.differences(missing))
    assert any("amount" in line for line in stripe_types.differences(ill_typed))
    assert stripe_types.differences(misnamed)


def test_an_event_is_checked_against_its_own_type(lived: Sandbox) -> None:
    event: dict[str, Any] = life.get(lived, "/v1/events", type="charge.succeeded")["data"][0]

    assert not stripe_types.differences(event)
    assert stripe_types.differences({**event, "type": "refund.created"})
    assert stripe_types.differences({**event, "type": "charge.imagined"})
