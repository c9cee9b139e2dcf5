"""Payment methods: what is paid with, now or, attached to a customer, later without its owner.

The number of a test card is kept with its payment method and never shown, so that a charge made
months later meets the same bank.
"""

from __future__ import annotations

import hashlib
import time

from sandbox.store import Json
from sandbox.stripe import cards, events, ids, lists
from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, bad_param, card_error, missing, not_modelled
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import (
    ADDRESS,
    EXPAND,
    PAGING,
    Fields,
    clearable,
    email,
    group,
    integer,
    merged,
    metadata,
    not_here,
    text,
)
from sandbox.stripe.routes import Route

KIND = "payment_method"
TEST_ROUTING_NUMBER = "110000000"


def billing_details(email: str | None, name: str | None) -> Json:
    """Who paid, as typed on the checkout page."""
    return {
        "address": dict.fromkeys(ADDRESS),
        "email": email,
        "name": name,
        "phone": None,
        "tax_id": None,
    }


def _build(context: Context, type: str, email: str | None, name: str | None) -> Json:
    return {
        "id": ids.new("pm"),
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": billing_details(email, name),
        "created": context.now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": type,
    }


def create_card(
    context: Context,
    card: Card,
    *,
    expiry: tuple[int, int] = (12, 2034),
    email: str | None = None,
    name: str | None = None,
) -> Json:
    """A card payment method, on no customer yet; ``expiry`` is (month, year)."""
    method = _build(context, "card", email, name)
    method["card"] = {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "fail" if card.decline and card.decline[0] == "incorrect_cvc" else "pass",
        },
        "country": "US",
        "display_brand": card.brand,
        "exp_month": expiry[0],
        "exp_year": expiry[1],
        "fingerprint": hashlib.sha256(card.number.encode()).hexdigest()[:16],
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    context.tx.insert(method, {"number": card.number, "set_up": False})
    return method


def create_bank_debit(context: Context, *, email: str | None, name: str | None) -> Json:
    """A bank account at the sandbox's only bank."""
    method = _build(context, "us_bank_account", email, name)
    method["us_bank_account"] = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": "SandboxBank00001",
        "last4": "6789",
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": TEST_ROUTING_NUMBER,
        "status_details": {},
    }
    context.tx.insert(method)
    return method


def card_of(context: Context, id: str) -> Card:
    """The test card behind a card payment method."""
    return cards.CARDS[context.tx.private(KIND, id).get("number", cards.GOOD)]


def off_session_decline(context: Context, id: str) -> tuple[str, str, str] | None:
    """Why a charge without the owner is declined: (code, decline_code, message); None if not."""
    private = context.tx.private(KIND, id)
    return card_of(context, id).off_session(set_up=private.get("set_up", False))


def mark_set_up(context: Context, id: str) -> None:
    """The owner has authenticated the card to be charged without being there."""
    context.tx.save_private(KIND, id, {**context.tx.private(KIND, id), "set_up": True})


def swap_card(context: Context, id: str, number: str) -> None:
    """Another bank's mood behind the same card: what it shows stays, what happens to it changes.

    For tests and the control page; Stripe has no such call.
    """
    card = cards.find(number)
    context.tx.save_private(KIND, id, {**context.tx.private(KIND, id), "number": card.number})


def create(context: Context, params: Json) -> Json:
    """A card payment method from a number or a ready-made token."""
    if params.get("type") != "card" or "card" not in params:
        if params.get("type", "card") != "card":
            raise not_modelled("type")
        raise bad_param("Missing required param: card.", "card", "parameter_missing")
    sent = params["card"]
    expiry = (sent.get("exp_month", 12), sent.get("exp_year", 2034))
    method = create_card(context, _card(sent), expiry=expiry)
    today = time.gmtime(context.now)
    if expiry[::-1] < (today.tm_year, today.tm_mon):
        message = "Your card's expiration year is invalid."
        raise card_error(("invalid_expiry_year", "invalid_expiry_year", message))
    method["allow_redisplay"] = "unspecified"
    _describe(method, params)
    context.tx.save(method)
    return method


def _card(sent: Json) -> Card:
    if ("token" in sent) == ("number" in sent):
        raise bad_param("Pass either card[number] or card[token].", "card[number]")
    if "token" in sent:
        ready = "pm_card_" + sent["token"].removeprefix("tok_")
        if ready not in cards.READY_MADE:
            raise bad_param(f"No such token: '{sent['token'][:50]}'", "card[token]")
        return cards.CARDS[cards.READY_MADE[ready]]
    try:
        return cards.find(sent["number"])
    except cards.BadCard as problem:
        number_wrong = ("incorrect_number", "incorrect_number", str(problem))
        raise card_error(number_wrong, param="number") from None


def _describe(method: Json, params: Json) -> None:
    """Take over billing details and metadata as sent."""
    sent = params.get("billing_details", {})
    details = method["billing_details"]
    details.update({name: sent[name] for name in ("email", "name", "phone") if name in sent})
    if "address" in sent:
        details["address"] = {name: (sent["address"] or {}).get(name) for name in ADDRESS}
    method["metadata"] = merged(method["metadata"], params.get("metadata"))
    if "allow_redisplay" in params:
        method["allow_redisplay"] = params["allow_redisplay"]


def update(context: Context, params: Json, id: str) -> Json:
    """Change billing details, expiry or metadata of an attached payment method."""
    method = context.need(KIND, id, param="payment_method")
    if method["customer"] is None:
        message = "You must save this PaymentMethod to a customer before you can update it."
        raise StripeError(message)
    before = copied(method)
    _describe(method, params)
    if method["type"] == "card":
        method["card"].update(params.get("card", {}))
    elif "card" in params:
        raise bad_param("This payment method is not a card.", "card")
    return events.save_and_tell(context, "payment_method.updated", method, before)


def attach_to(context: Context, params: Json, id: str) -> Json:
    """Save a payment method to a customer; a ready-made one is made first."""
    customer = context.need("customer", params["customer"], param="customer")
    method = resolve(context, id)
    if method["customer"] is not None:
        message = "The payment method you provided has already been attached to a customer."
        raise StripeError(message, param="payment_method")
    private = context.tx.private(KIND, method["id"])
    if method["type"] != "card" or private.get("spent"):
        message = (
            "This PaymentMethod was previously used without being attached to a Customer or was "
            "detached from a Customer, and may not be used again."
        )
        raise StripeError(message, param="payment_method")
    refusal = card_of(context, method["id"]).why_not_saved
    if refusal is not None:
        raise card_error(refusal, payment_method=method)
    return attach(context, method, customer["id"])


def attach(context: Context, method: Json, customer: str) -> Json:
    """Put the payment method on the customer and tell; on the same one it does nothing."""
    if method["customer"] != customer:
        method["customer"] = customer
        context.tx.save(method)
        events.emit(context, "payment_method.attached", method)
    return method


def spend(context: Context, id: str) -> None:
    """It was used without a customer: it pays no second time."""
    context.tx.save_private(KIND, id, {**context.tx.private(KIND, id), "spent": True})


def detach_from(context: Context, params: Json, id: str) -> Json:
    """Take a payment method off its customer, for good."""
    method = _need(context, id)
    if method["customer"] is None:
        message = (
            "The payment method you provided is not attached to a customer so detachment is "
            "impossible."
        )
        raise StripeError(message, param="payment_method")
    return detach(context, method)


def detach(context: Context, method: Json) -> Json:
    """Take it off its customer, whose default it no longer is, and off what is paid with it."""
    customer = context.need("customer", method["customer"])
    method["customer"] = None
    context.tx.save(method)
    spend(context, method["id"])
    events.emit(context, "payment_method.detached", method, {"customer": customer["id"]})
    if customer["invoice_settings"]["default_payment_method"] == method["id"]:
        before = copied(customer)
        customer["invoice_settings"]["default_payment_method"] = None
        events.save_and_tell(context, "customer.updated", customer, before)
    paid_with = "json_extract(data, '$.default_payment_method') = ?"
    for subscription in context.tx.find("subscription", paid_with, (method["id"],)):
        if subscription["status"] not in ("canceled", "incomplete_expired"):
            before = copied(subscription)
            subscription["default_payment_method"] = None
            events.save_and_tell(context, "customer.subscription.updated", subscription, before)
    return method


def of_customer(context: Context, customer: str) -> list[Json]:
    """What is saved to the customer, newest first."""
    saved = "json_extract(data, '$.customer') = ?"
    return context.tx.find(KIND, saved, (customer,))[::-1]


def resolve(context: Context, id: str) -> Json:
    """The payment method of this id; a ready-made one (``pm_card_visa``) is made anew."""
    if id not in cards.READY_MADE:
        return _need(context, id)
    method = create_card(context, cards.CARDS[cards.READY_MADE[id]])
    method["allow_redisplay"] = "unspecified"
    context.tx.save(method)
    return method


def _need(context: Context, id: str) -> Json:
    """The payment method; the 404 names the parameter that Stripe names."""
    if context.tx.get(KIND, id) is None:
        raise missing(KIND, id, param="payment_method")
    return context.need(KIND, id)


EXPANDABLE["payment_method"] = {"customer": ref("customer")}

BASE = "/v1/payment_methods"
REDISPLAY = text(one_of=("always", "limited", "unspecified"))
DETAILS: Fields = {
    **not_here("tax_id"),
    "address": clearable(group(ADDRESS)),
    "email": clearable(email),
    "name": clearable(text(256)),
    "phone": clearable(text(20)),
}
EXPIRY: Fields = {
    **not_here("networks"),
    "exp_month": integer(1, 12),
    "exp_year": integer(2000, 2100),
}
UPDATE: Fields = {
    **EXPAND,
    **not_here("payto us_bank_account"),
    "allow_redisplay": REDISPLAY,
    "billing_details": group(DETAILS),
    "card": group(EXPIRY),
    "metadata": metadata,
}
CREATE: Fields = {
    **EXPAND,
    **not_here("customer payment_method radar_options us_bank_account"),
    "allow_redisplay": REDISPLAY,
    "billing_details": group(DETAILS),
    "card": group({**EXPIRY, "cvc": text(4), "number": text(30), "token": text()}),
    "metadata": metadata,
    "type": text(),
}
LIST: Fields = {**PAGING, "allow_redisplay": REDISPLAY, "type": text()}

ROUTES = [
    Route("POST", BASE, create, CREATE, ("type",)),
    Route(
        "GET",
        BASE,
        lists.lister(KIND, BASE, "customer", "type", "allow_redisplay"),
        {**LIST, **not_here("customer_account"), "customer": text()},
    ),
    Route("GET", f"{BASE}/:id", lists.retriever(KIND)),
    Route("POST", f"{BASE}/:id", update, UPDATE),
    Route(
        "POST",
        f"{BASE}/:id/attach",
        attach_to,
        {**EXPAND, **not_here("customer_account"), "customer": text()},
        ("customer",),
    ),
    Route("POST", f"{BASE}/:id/detach", detach_from),
]
