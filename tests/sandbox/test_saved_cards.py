"""Saved cards: attached, made the default, charged later, taken off again."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.server import Sandbox

ATTACHES_BUT_DECLINES = "4000000000000341"
ASKS_UNLESS_SET_UP = "4000002500003155"
ALWAYS_ASKS = "4000002760003184"


def customer(sandbox: Sandbox, **params: Any) -> str:
    given: Any = {"email": "saver@example.com", **params}
    return sandbox.api().v1.customers.create(params=given).id


def card(sandbox: Sandbox, number: str = "4242424242424242") -> stripe.PaymentMethod:
    """A new card that is on no customer."""
    params: Any = {"type": "card", "card": {"number": number, "exp_month": 12, "exp_year": 2034}}
    return sandbox.api().v1.payment_methods.create(params=params)


def attached(sandbox: Sandbox, owner: str, number: str = "4242424242424242") -> str:
    method = card(sandbox, number)
    return sandbox.api().v1.payment_methods.attach(method.id, params={"customer": owner}).id


def shown(sandbox: Sandbox, owner: str) -> Any:
    return sandbox.api().v1.customers.retrieve(
        owner, params={"expand": ["invoice_settings.default_payment_method"]}
    )


def plan(sandbox: Sandbox) -> str:
    price: Any = {
        "currency": "usd",
        "unit_amount": 1000,
        "recurring": {"interval": "month"},
        "product_data": {"name": "Plan"},
    }
    return sandbox.api().v1.prices.create(params=price).id


def subscribed(sandbox: Sandbox, owner: str) -> stripe.Subscription:
    """A subscription that is charged at once, its owner not being there."""
    params: Any = {"customer": owner, "items": [{"price": plan(sandbox)}]}
    return sandbox.api().v1.subscriptions.create(params=params)


@pytest.mark.parametrize(
    ("ready", "brand", "last4"),
    [("pm_card_visa", "visa", "4242"), ("pm_card_amex", "amex", "0005")],
)
def test_a_ready_made_card_is_attached_as_a_new_one(
    sandbox: Sandbox, ready: str, brand: str, last4: str
) -> None:
    owner = customer(sandbox)
    api = sandbox.api().v1

    first = api.payment_methods.attach(ready, params={"customer": owner})
    second = api.payment_methods.attach(ready, params={"customer": owner})

    assert first.id != second.id
    assert first.card
    assert (first.card.brand, first.card.last4, first.customer) == (brand, last4, owner)
    listed = api.customers.payment_methods.list(owner, params={"type": "card"}).data
    assert [one.id for one in listed] == [second.id, first.id]
    by_type = api.payment_methods.list(params={"customer": owner, "type": "us_bank_account"})
    assert by_type.data == []
    assert sandbox.event_types().count("payment_method.attached") == 2


def test_the_number_of_a_card_is_never_shown(sandbox: Sandbox) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner)

    answer = sandbox.api().v1.payment_methods.retrieve(method).last_response

    assert answer is not None
    assert "4242424242424242" not in answer.body


def test_a_card_is_made_the_default_and_is_no_longer_when_detached(sandbox: Sandbox) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner)
    api = sandbox.api().v1

    api.customers.update(owner, params={"invoice_settings": {"default_payment_method": method}})
    assert shown(sandbox, owner).invoice_settings.default_payment_method.card.last4 == "4242"
    detached = api.payment_methods.detach(method)

    assert detached.customer is None
    assert shown(sandbox, owner).invoice_settings.default_payment_method is None
    assert sandbox.event_types()[-2:] == ["payment_method.detached", "customer.updated"]
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        api.payment_methods.attach(method, params={"customer": owner})
    with pytest.raises(stripe.InvalidRequestError, match="not attached to a customer"):
        api.payment_methods.detach(method)


def test_a_customer_can_be_made_with_a_card(sandbox: Sandbox) -> None:
    default: Any = {"default_payment_method": "pm_card_visa"}

    owner = customer(sandbox, payment_method="pm_card_visa", invoice_settings=default)

    assert shown(sandbox, owner).invoice_settings.default_payment_method.customer == owner


def test_only_the_customers_own_card_can_be_the_default(sandbox: Sandbox) -> None:
    owner, other = customer(sandbox), customer(sandbox)
    method = attached(sandbox, other)

    for wrong in (method, "pm_none"):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            sandbox.api().v1.customers.update(
                owner, params={"invoice_settings": {"default_payment_method": wrong}}
            )
        assert caught.value.code == "resource_missing"
        assert caught.value.param == "invoice_settings[default_payment_method]"
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        sandbox.api().v1.customers.payment_methods.retrieve(owner, method)


def test_a_card_belongs_to_one_customer(sandbox: Sandbox) -> None:
    method = attached(sandbox, customer(sandbox))

    with pytest.raises(stripe.InvalidRequestError, match="already been attached"):
        sandbox.api().v1.payment_methods.attach(method, params={"customer": customer(sandbox)})


def test_a_card_that_declines_is_not_saved_but_one_kind_is(sandbox: Sandbox) -> None:
    owner = customer(sandbox)

    with pytest.raises(stripe.CardError) as caught:
        attached(sandbox, owner, "4000000000009995")

    assert (caught.value.code, caught.value.http_status) == ("card_declined", 402)
    assert caught.value.error
    assert caught.value.error.decline_code == "insufficient_funds"
    attached(sandbox, owner, ATTACHES_BUT_DECLINES)


def test_its_details_can_be_changed(sandbox: Sandbox) -> None:
    method = attached(sandbox, customer(sandbox))

    changed = sandbox.api().v1.payment_methods.update(
        method,
        params={
            "billing_details": {"name": "A. Buyer", "address": {"country": "DE"}},
            "card": {"exp_year": 2040},
            "metadata": {"slot": "1"},
        },
    )

    assert changed.card
    assert (changed.billing_details.name, changed.card.exp_year) == ("A. Buyer", 2040)
    assert sandbox.event_types()[-1] == "payment_method.updated"
    with pytest.raises(stripe.InvalidRequestError, match="save this PaymentMethod"):
        sandbox.api().v1.payment_methods.update(card(sandbox).id, params={"metadata": {"a": "b"}})


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        ("4242424242424242", "active", None),
        (ATTACHES_BUT_DECLINES, "incomplete", "card_declined"),
        (ASKS_UNLESS_SET_UP, "incomplete", "authentication_required"),
        (ALWAYS_ASKS, "incomplete", "authentication_required"),
    ],
)
def test_a_charge_without_its_owner_meets_the_card_that_was_saved(
    sandbox: Sandbox, number: str, status: str, code: str | None
) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner, number)
    api = sandbox.api().v1
    api.customers.update(owner, params={"invoice_settings": {"default_payment_method": method}})

    subscription = subscribed(sandbox, owner)

    assert subscription.status == status
    (intent,) = api.payment_intents.list(params={"customer": owner}).data
    assert (intent.last_payment_error and intent.last_payment_error.code) == code


@pytest.mark.parametrize(
    ("number", "status"), [(ASKS_UNLESS_SET_UP, "active"), (ALWAYS_ASKS, "incomplete")]
)
def test_once_set_up_most_cards_ask_no_more(sandbox: Sandbox, number: str, status: str) -> None:
    owner = customer(sandbox)
    session = sandbox.session(
        customer=owner, payment_intent_data={"setup_future_usage": "off_session"}
    )
    sandbox.control(f"sessions/{session.id}/pay", card=number)
    sandbox.control(f"sessions/{session.id}/authenticate", outcome="authorised")
    (method,) = sandbox.api().v1.customers.payment_methods.list(owner).data
    sandbox.api().v1.customers.update(
        owner, params={"invoice_settings": {"default_payment_method": method.id}}
    )

    assert subscribed(sandbox, owner).status == status


def test_a_payment_saves_its_card_only_when_asked_to(sandbox: Sandbox) -> None:
    api = sandbox.api().v1
    saving = sandbox.session(payment_intent_data={"setup_future_usage": "off_session"})
    plain = sandbox.session(customer_creation="always")

    for session in (saving, plain):
        sandbox.control(f"sessions/{session.id}/pay")

    saved = str(api.checkout.sessions.retrieve(saving.id).customer)
    other = str(api.checkout.sessions.retrieve(plain.id).customer)
    assert len(api.customers.payment_methods.list(saved).data) == 1
    assert api.customers.payment_methods.list(other).data == []
    used = api.payment_intents.list(params={"customer": other}).data[0].payment_method
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        api.payment_methods.attach(str(used), params={"customer": other})


def test_a_bank_can_change_its_mind_about_a_saved_card(sandbox: Sandbox) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner)
    sandbox.api().v1.customers.update(
        owner, params={"invoice_settings": {"default_payment_method": method}}
    )

    sandbox.control(f"payment_methods/{method}/bank", card=ATTACHES_BUT_DECLINES)
    declined = subscribed(sandbox, owner)
    sandbox.control(f"payment_methods/{method}/bank", card="4242424242424242")
    paid = subscribed(sandbox, owner)

    assert (declined.status, paid.status) == ("incomplete", "active")
    kept = sandbox.api().v1.payment_methods.retrieve(method)
    assert kept.card
    assert kept.card.last4 == "4242"


def test_detaching_takes_the_card_off_what_is_paid_with_it(sandbox: Sandbox) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner)
    api = sandbox.api().v1
    params: Any = {
        "customer": owner,
        "items": [{"price": plan(sandbox)}],
        "default_payment_method": method,
    }
    subscription = api.subscriptions.create(params=params)

    api.payment_methods.detach(method)

    assert api.subscriptions.retrieve(subscription.id).default_payment_method is None
    assert sandbox.event_types()[-1] == "customer.subscription.updated"


def test_a_setup_intent_saves_a_card_by_the_api(sandbox: Sandbox) -> None:
    api = sandbox.api().v1
    owner = customer(sandbox)

    made = api.setup_intents.create(
        params={"customer": owner, "payment_method": card(sandbox).id, "confirm": True}
    )
    refused = api.setup_intents.create(params={"customer": owner})

    assert made.status == "succeeded"
    assert [one.id for one in api.customers.payment_methods.list(owner).data] == [
        made.payment_method
    ]
    with pytest.raises(stripe.CardError, match="was declined"):
        api.setup_intents.confirm(
            refused.id, params={"payment_method": card(sandbox, "4000000000000002").id}
        )
    failed = api.setup_intents.retrieve(refused.id)
    assert failed.last_setup_error
    assert (failed.status, failed.last_setup_error.code) == (
        "requires_payment_method",
        "card_declined",
    )
    assert "setup_intent.setup_failed" in sandbox.event_types()
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded"):
        api.setup_intents.cancel(made.id)
    assert api.setup_intents.cancel(refused.id).status == "canceled"


def test_a_payment_that_the_bank_declines_was_tried_all_the_same(sandbox: Sandbox) -> None:
    owner = customer(sandbox)
    method = attached(sandbox, owner, ATTACHES_BUT_DECLINES)
    api = sandbox.api().v1
    api.customers.update(owner, params={"invoice_settings": {"default_payment_method": method}})
    invoice = str(subscribed(sandbox, owner).latest_invoice)
    before = sandbox.event_types().count("invoice.payment_failed")

    with pytest.raises(stripe.CardError, match="was declined"):
        api.invoices.pay(invoice)

    assert sandbox.event_types().count("invoice.payment_failed") == before + 1
    assert [charge.status for charge in api.charges.list().data] == ["failed", "failed"]
