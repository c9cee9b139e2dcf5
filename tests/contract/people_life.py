"""The part of a shop's life that people live: cards they save, plans they subscribe to, portals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.sandbox import plans
from tests.sandbox.server import API_KEY, Sandbox

# path -> what can be expanded there
LISTS = {
    "/v1/billing_portal/configurations": ["data.application"],
    "/v1/payment_methods": ["data.customer"],
    "/v1/setup_intents": ["data.customer", "data.latest_attempt", "data.payment_method"],
}

EVENTS = {
    *("billing_portal.configuration.created", "billing_portal.configuration.updated"),
    *("billing_portal.session.created", "customer.discount.deleted"),
    *("payment_method.attached", "payment_method.detached", "payment_method.updated"),
    *("setup_intent.canceled", "setup_intent.created", "setup_intent.requires_action"),
    *("setup_intent.setup_failed", "setup_intent.succeeded"),
}
SETUP: dict[str, Any] = {
    "mode": "setup",
    "currency": "usd",
    "success_url": "http://127.0.0.1:1/done",
}
CODED = "FORPLANS"


def live(sandbox: Sandbox) -> None:
    """Make everything happen that a person does."""
    owner = plans.customer(sandbox)
    _cards(sandbox, owner)
    _setups(sandbox, owner)
    _charges(sandbox)
    _plans(sandbox, owner)
    _portal(sandbox, owner)


def _cards(sandbox: Sandbox, owner: str) -> None:
    api = sandbox.api().v1
    method = api.payment_methods.attach("pm_card_amex", params={"customer": owner})
    api.payment_methods.update(method.id, params={"billing_details": {"name": "A. Buyer"}})
    api.payment_methods.detach(method.id)
    saving = sandbox.session(
        customer=owner, payment_intent_data={"setup_future_usage": "off_session"}
    )
    sandbox.control(f"sessions/{saving.id}/pay", card="5555555555554444")


def _setups(sandbox: Sandbox, owner: str) -> None:
    """Every way that saving a card can end."""
    api = sandbox.api().v1
    automatic: Any = {"enabled": True}
    made = api.setup_intents.create(
        params={"customer": owner, "automatic_payment_methods": automatic}
    )
    api.setup_intents.confirm(made.id, params={"payment_method": "pm_card_visa"})
    api.setup_intents.cancel(api.setup_intents.create(params={"description": "None"}).id)
    saving: Any = {**SETUP, "customer": owner}
    session = api.checkout.sessions.create(params=saving)
    pay = f"sessions/{session.id}/pay"
    sandbox.control(pay, card="4000000000000002")
    sandbox.control(pay, card="4000002500003155")
    sandbox.control(f"sessions/{session.id}/authenticate", outcome="authorised")
    waiting = api.checkout.sessions.create(params=SETUP)  # type: ignore[arg-type]
    sandbox.control(f"sessions/{waiting.id}/pay", card="4000002760003184")


def _charges(sandbox: Sandbox) -> None:
    """Saved cards are charged, their owner not being there: one pays, one declines."""
    api = sandbox.api().v1
    owner = plans.customer(sandbox)
    for ready in ("pm_card_visa", "pm_card_chargeCustomerFail"):
        method = api.payment_methods.attach(ready, params={"customer": owner})
        sent: Any = {
            "amount": 1000,
            "currency": "usd",
            "customer": owner,
            "payment_method": method.id,
            "confirm": True,
            "off_session": True,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
        if ready == "pm_card_visa":
            api.payment_intents.create(params=sent)
            continue
        with pytest.raises(stripe.CardError):
            api.payment_intents.create(params=sent)


def _plans(sandbox: Sandbox, owner: str) -> None:
    """Subscriptions by Checkout: with tax and a code, with a trial, for nothing, not at all."""
    api = sandbox.api().v1
    coupon = api.coupons.create(params={"percent_off": 10, "duration": "forever"})
    promotion: Any = {"type": "coupon", "coupon": coupon.id}
    api.promotion_codes.create(params={"promotion": promotion, "code": CODED})
    common: dict[str, Any] = {
        "mode": "subscription",
        "line_items": [{"price": plans.price(sandbox, 4900), "quantity": 1}],
    }
    bought = sandbox.session(
        customer=owner,
        customer_update={"address": "auto"},
        allow_promotion_codes=True,
        automatic_tax={"enabled": True},
        subscription_data={"metadata": {"order_id": "5"}},
        **common,
    )
    paid = sandbox.control(f"sessions/{bought.id}/pay", promotion_code=CODED)
    api.subscriptions.delete_discount(paid["session"]["subscription"])
    tried = sandbox.session(subscription_data={"trial_period_days": 7}, **common)
    sandbox.control(f"sessions/{tried.id}/pay")
    bare = sandbox.session(
        subscription_data={"trial_period_days": 7},
        payment_method_collection="if_required",
        **common,
    )
    sandbox.control(f"sessions/{bare.id}/pay")
    sandbox.session(**common)


def _portal(sandbox: Sandbox, owner: str) -> None:
    api = sandbox.api().v1.billing_portal
    features: Any = {
        "customer_update": {"enabled": True, "allowed_updates": ["address"]},
        "subscription_cancel": {
            "enabled": True,
            "cancellation_reason": {"enabled": True, "options": ["other"]},
        },
    }
    own = api.configurations.create(params={"features": features, "name": "Own"})
    api.configurations.update(own.id, params={"business_profile": {"headline": "Yours"}})
    api.sessions.create(params={"customer": owner, "configuration": own.id})
    for after in ("hosted_confirmation", "redirect", "portal_homepage"):
        sessions(sandbox, owner, after=after)


def sessions(sandbox: Sandbox, owner: str, *, after: str) -> list[dict[str, Any]]:
    """A portal session for each flow, as it goes over the wire: the API shows none again."""
    (subscription, *_) = sandbox.api().v1.subscriptions.list(params={"customer": owner}).data
    form = {
        "customer": owner,
        "return_url": "http://127.0.0.1:1/back",
        "flow_data[after_completion][type]": after,
        "expand[0]": "configuration",
    }
    if after == "redirect":
        url = "http://127.0.0.1:1/done"
        form["flow_data[after_completion][redirect][return_url]"] = url
    cancelling = {
        "flow_data[type]": "subscription_cancel",
        "flow_data[subscription_cancel][subscription]": subscription.id,
    }
    found = []
    for flow in ({"flow_data[type]": "payment_method_update"}, cancelling):
        answer = sandbox.http.post(
            "/v1/billing_portal/sessions",
            data={**form, **flow},
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
    return found


def everything(sandbox: Sandbox) -> Iterator[tuple[str, dict[str, str]]]:
    """(address, query) of what must be asked for in a way of its own."""
    fields = ("customer", "invoice", "setup_intent", "subscription")
    asked = {f"expand[{place}]": f"data.{field}" for place, field in enumerate(fields)}
    yield "/v1/checkout/sessions", {"limit": "100", **asked}
    for customer in sandbox.api().v1.customers.list(params={"limit": 20}).data:
        methods = f"/v1/customers/{customer.id}/payment_methods"
        yield methods, {}
        for method in sandbox.api().v1.customers.payment_methods.list(customer.id).data:
            yield f"{methods}/{method.id}", {}
