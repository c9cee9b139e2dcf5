"""Webhooks: signed, retried, held and delivered by hand; a restart forgets none."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest
import stripe

from sandbox.stripe.sender import signature
from tests.sandbox.server import SECRET, Listener, Sandbox, listening, wait_for

BOUGHT = [
    "payment_intent.created",
    "charge.succeeded",
    "payment_intent.succeeded",
    "checkout.session.completed",
]


def test_every_effect_is_told_in_order_and_signed(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.paid(metadata={"order_id": "7"})
    sandbox.until_quiet()

    assert listener.types() == BOUGHT
    for webhook in listener.got:
        event = stripe.Webhook.construct_event(
            webhook.body, webhook.headers["Stripe-Signature"], SECRET
        )
        assert event.api_version == stripe.api_version
        assert event.livemode is False
    assert listener.got[-1].event["data"]["object"]["metadata"] == {"order_id": "7"}


def test_a_wrong_secret_or_an_old_signature_does_not_verify(
    sandbox: Sandbox, listener: Listener
) -> None:
    sandbox.paid()
    sandbox.until_quiet()
    webhook = listener.got[0]
    old = signature(SECRET, webhook.body.decode(), int(time.time()) - 400)

    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(
            webhook.body, webhook.headers["Stripe-Signature"], "whsec_other"
        )
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        stripe.Webhook.construct_event(webhook.body, old, SECRET)


def test_an_event_keeps_what_the_object_was_then(sandbox: Sandbox, listener: Listener) -> None:
    customers = sandbox.api().v1.customers
    made = customers.create(params={"name": "A", "metadata": {"a": "1"}})
    customers.update(made.id, params={"name": "B", "metadata": {"a": "2"}})
    customers.update(made.id, params={"name": "B"})
    sandbox.until_quiet()

    created, updated = (webhook.event["data"] for webhook in listener.got)

    assert created["object"]["name"] == "A"
    assert updated["object"]["name"] == "B"
    assert updated["previous_attributes"] == {"name": "A", "metadata": {"a": "1"}}


def test_an_event_says_which_request_caused_it(sandbox: Sandbox) -> None:
    made = sandbox.api().v1.customers.create(params={}, options={"idempotency_key": "the-key"})
    cause = sandbox.api().v1.events.list().data[0].to_dict()["request"]

    assert cause["idempotency_key"] == "the-key"
    assert made.last_response
    assert cause["id"] == made.last_response.request_id


def test_what_is_not_taken_is_tried_again(sandbox: Sandbox, listener: Listener) -> None:
    listener.answers += [500, 503, 404, 200]
    sandbox.api().v1.customers.create()
    sandbox.until_quiet()

    assert listener.types() == ["customer.created"] * 4
    assert len({webhook.body for webhook in listener.got}) == 1
    [delivery] = sandbox.deliveries()
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 4)
    assert sandbox.api().v1.events.list().data[0].pending_webhooks == 0


def test_one_webhook_that_fails_does_not_hold_up_the_others(
    sandbox: Sandbox, listener: Listener
) -> None:
    listener.answers += [500]
    sandbox.paid()
    sandbox.until_quiet()

    assert listener.types() == [BOUGHT[0], *BOUGHT[1:], BOUGHT[0]]


def test_held_webhooks_go_out_by_hand_in_any_order_any_number_of_times(
    sandbox: Sandbox, listener: Listener
) -> None:
    sandbox.control("deliveries/hold")
    sandbox.paid()
    held = sandbox.deliveries(status="held")
    assert [delivery["type"] for delivery in held] == BOUGHT
    assert listener.got == []

    for place in (3, 0, 3):
        answer = sandbox.control(f"deliveries/{held[place]['id']}/deliver")
        assert answer["response_status"] == 200

    assert listener.types() == [BOUGHT[3], BOUGHT[0], BOUGHT[3]]
    assert len(sandbox.deliveries(status="held")) == 2
    sandbox.control("deliveries/release", order="reversed")
    sandbox.until_quiet()
    assert listener.types()[3:] == [BOUGHT[2], BOUGHT[1]]


def test_delivering_by_hand_tells_what_the_portal_answered(
    sandbox: Sandbox, listener: Listener
) -> None:
    sandbox.control("deliveries/hold")
    sandbox.api().v1.customers.create()
    [delivery] = sandbox.deliveries()
    listener.answers += [500]

    answer = sandbox.control(f"deliveries/{delivery['id']}/deliver")

    assert answer["response_status"] == 500
    assert answer["delivery"]["status"] == "held"
    assert sandbox.http.post("/_sandbox/stripe/deliveries/999/deliver").status_code == 404


def test_an_event_can_be_sent_once_more(sandbox: Sandbox, listener: Listener) -> None:
    sandbox.api().v1.customers.create()
    sandbox.until_quiet()
    event = sandbox.api().v1.events.list().data[0]

    sandbox.control(f"events/{event.id}/resend")
    sandbox.until_quiet()

    assert [webhook.event["id"] for webhook in listener.got] == [event.id, event.id]


def test_an_endpoint_made_by_the_api_gets_what_it_asked_for(
    sandbox: Sandbox, listener: Listener
) -> None:
    endpoints = sandbox.api().v1.webhook_endpoints
    with listening() as other:
        made = endpoints.create(
            params={"url": other.url, "enabled_events": ["product.created", "price.created"]}
        )
        assert made.secret
        assert not hasattr(endpoints.retrieve(made.id), "secret")
        sandbox.api().v1.customers.create()
        sandbox.api().v1.products.create(params={"name": "A"})
        sandbox.until_quiet()
        endpoints.update(made.id, params={"disabled": True})
        sandbox.api().v1.products.create(params={"name": "B"})
        sandbox.until_quiet()

        assert other.types() == ["product.created"]
        stripe.Webhook.construct_event(
            other.got[0].body, other.got[0].headers["Stripe-Signature"], made.secret
        )
    assert listener.types() == ["customer.created", "product.created", "product.created"]


def test_webhooks_stay_on_this_machine(sandbox: Sandbox) -> None:
    endpoints = sandbox.api().v1.webhook_endpoints

    with pytest.raises(stripe.InvalidRequestError, match="loopback"):
        endpoints.create(params={"url": "https://example.com/", "enabled_events": ["*"]})


def test_deleting_an_endpoint_drops_what_it_was_owed(sandbox: Sandbox) -> None:
    endpoints = sandbox.api().v1.webhook_endpoints
    made = endpoints.create(params={"url": "http://127.0.0.1:1/", "enabled_events": ["*"]})
    sandbox.api().v1.customers.create()

    endpoints.delete(made.id)
    sandbox.until_quiet()

    assert sorted(one["status"] for one in sandbox.deliveries()) == ["delivered", "dropped"]


def test_a_killed_sandbox_forgets_neither_objects_nor_webhooks(tmp_path: Path) -> None:
    with listening() as listener:
        env = {
            "SANDBOX_WEBHOOK_URL": listener.url,
            "SANDBOX_WEBHOOK_SECRET": SECRET,
            "SANDBOX_RETRY_SECONDS": "0.2",
        }
        with Sandbox(tmp_path, **env) as sandbox:
            listener.answers += [503] * 4
            session = sandbox.paid()
            wait_for(lambda: len(listener.got) >= 4)
            sandbox.stop(signal.SIGKILL)
            before = len(listener.got)

            sandbox.start()
            sandbox.until_quiet()

            assert sorted(listener.types()[before:]) == sorted(BOUGHT)
            kept = sandbox.api().v1.checkout.sessions.retrieve(session.id)
            assert kept.payment_status == "paid"
            assert len(sandbox.event_types()) == 4


def test_an_unreachable_portal_gets_its_webhooks_later(tmp_path: Path) -> None:
    with listening() as listener:
        gone = listener.url
    env = {
        "SANDBOX_WEBHOOK_URL": gone,
        "SANDBOX_WEBHOOK_SECRET": SECRET,
        "SANDBOX_RETRY_SECONDS": "30",
    }
    with Sandbox(tmp_path, **env) as sandbox:
        sandbox.api().v1.customers.create()
        wait_for(lambda: sandbox.deliveries()[0]["attempts"] == 1)
        [failed] = sandbox.deliveries()
        assert "ConnectError" in failed["error"]
        with listening() as back:
            sandbox.stop(signal.SIGTERM)
            sandbox.env["SANDBOX_WEBHOOK_URL"] = back.url
            sandbox.start()
            sandbox.control("deliveries/retry")
            sandbox.until_quiet()
            assert back.types() == ["customer.created"]


def test_without_an_address_nothing_is_sent(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        sandbox.paid()

        assert sandbox.deliveries() == []
        assert len(sandbox.event_types()) == 4
        assert json.loads(sandbox.http.get("/_sandbox/books").text)["stripe"]["agrees"]
