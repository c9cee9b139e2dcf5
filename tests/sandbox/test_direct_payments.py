"""Saved cards that a program charges, their owner not being there."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.server import Sandbox
from tests.sandbox.test_saved_cards import (
    ALWAYS_ASKS,
    ASKS_UNLESS_SET_UP,
    ATTACHES_BUT_DECLINES,
    attached,
    customer,
)

NEVER: Any = {"enabled": True, "allow_redirects": "never"}


def charge(
    sandbox: Sandbox, owner: str, method: str, *, key: str | None = None, **more: Any
) -> stripe.PaymentIntent:
    sent: Any = {
        "amount": 10_00,
        "currency": "usd",
        "customer": owner,
        "payment_method": method,
        "confirm": True,
        "off_session": True,
        "automatic_payment_methods": NEVER,
        **more,
    }
    options: Any = {"idempotency_key": key} if key else {}
    return sandbox.api().v1.payment_intents.create(params=sent, options=options)


def test_a_saved_card_is_charged_at_once(sandbox: Sandbox) -> None:
    owner = customer(sandbox)

    paid = charge(sandbox, owner, attached(sandbox, owner), metadata={"order_id": "7"})

    assert (paid.status, paid.amount_received, paid.customer) == ("succeeded", 10_00, owner)
    made = sandbox.api().v1.charges.retrieve(str(paid.latest_charge))
    assert made.balance_transaction
    assert made.metadata.to_dict() == {"order_id": "7"}
    assert sandbox.event_types()[-3:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
    ]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (ATTACHES_BUT_DECLINES, "card_declined"),
        (ASKS_UNLESS_SET_UP, "authentication_required"),
        (ALWAYS_ASKS, "authentication_required"),
    ],
)
def test_one_that_is_declined_names_its_intent_which_stays(
    sandbox: Sandbox, number: str, code: str
) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner, number)

    with pytest.raises(stripe.CardError) as caught:
        charge(sandbox, owner, method)

    assert caught.value.error is not None
    told: Any = caught.value.error.payment_intent
    (kept,) = sandbox.api().v1.payment_intents.list(params={"customer": owner}).data
    assert (caught.value.http_status, caught.value.code, told.id) == (402, code, kept.id)
    assert kept.status == "requires_payment_method"
    assert sandbox.event_types()[-1] == "payment_intent.payment_failed"


def test_a_card_that_was_set_up_is_charged_without_its_owner(sandbox: Sandbox) -> None:
    owner = customer(sandbox)
    sent: Any = {
        "mode": "setup",
        "currency": "usd",
        "customer": owner,
        "success_url": "http://x.test/",
    }
    session = sandbox.api().v1.checkout.sessions.create(params=sent)
    sandbox.control(f"sessions/{session.id}/pay", card=ASKS_UNLESS_SET_UP)
    sandbox.control(f"sessions/{session.id}/authenticate", outcome="authorised")
    (saved,) = sandbox.api().v1.customers.payment_methods.list(owner).data

    assert charge(sandbox, owner, saved.id).status == "succeeded"


def test_the_same_key_charges_once_and_repeats_a_decline(sandbox: Sandbox) -> None:
    owner = customer(sandbox)
    good, bad = attached(sandbox, owner), attached(sandbox, owner, ATTACHES_BUT_DECLINES)
    twice = [charge(sandbox, owner, good, key="one").id for _ in range(2)]
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            charge(sandbox, owner, bad, key="two")

    assert twice[0] == twice[1]
    assert len(sandbox.api().v1.payment_intents.list(params={"customer": owner}).data) == 2


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"amount": 49}, "at least"),
        ({"customer": "cus_none"}, "No such customer"),
        ({"payment_method": "pm_none"}, "No such PaymentMethod"),
        ({"confirm": False}, "does not model 'confirm'"),
        ({"off_session": False}, "does not model 'off_session'"),
        ({"automatic_payment_methods": {"enabled": True}}, "return_url"),
        ({"capture_method": "manual"}, "does not model 'capture_method'"),
        ({"colour": "red"}, "unknown parameter"),
    ],
)
def test_what_cannot_be_charged_like_that_is_refused(
    sandbox: Sandbox, changed: dict[str, Any], says: str
) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner)

    with pytest.raises(stripe.InvalidRequestError, match=says):
        charge(sandbox, owner, method, **changed)

    assert sandbox.api().v1.payment_intents.list(params={"customer": owner}).data == []


def test_a_card_of_another_customer_is_not_charged(sandbox: Sandbox) -> None:
    method = attached(sandbox, customer(sandbox))

    with pytest.raises(stripe.InvalidRequestError, match="does not belong"):
        charge(sandbox, customer(sandbox), method)
