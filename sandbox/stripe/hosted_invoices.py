"""Paying an open invoice by hand, its owner being there to answer the bank."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.store import Json
from sandbox.stripe import cards, collection, events, invoices, payment_intents, payment_methods
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError

PAYABLE = ("open", "uncollectible")


@dataclass(frozen=True, slots=True)
class Attempt:
    """paid, challenge or declined, with a sentence for people."""

    outcome: str
    message: str = ""


def pay(context: Context, id: str, method: Json) -> Attempt:
    """Pay an open invoice with a card that is saved, or that is saved once it has paid."""
    invoice = _payable(context, id)
    intent = collection.intent_of(context, invoice)
    card = payment_methods.card_of(context, method["id"])
    if payment_methods.off_session_decline(context, method["id"]) == cards.AUTHENTICATION_REQUIRED:
        payment_intents.pay_by_card(context, intent, method, card)
        return Attempt("challenge", "The bank asks for authentication.")
    if not collection.collect(context, invoice, method_id=method["id"], by_hand=True):
        return _declined(context, intent["id"])
    _keep(context, method, invoice["customer"])
    return Attempt("paid")


def authenticate(context: Context, id: str, *, authorised: bool) -> Attempt:
    """Answer the bank that asked about an invoice's payment."""
    invoice = _payable(context, id)
    intent = challenged(context, invoice)
    if intent is None:
        raise StripeError("This invoice does not wait for authentication.")
    method = context.need("payment_method", intent["payment_method"])
    card = payment_methods.card_of(context, method["id"])
    if payment_intents.authenticate(context, intent, card, authorised=authorised) != "succeeded":
        return _declined(context, intent["id"])
    payment_methods.mark_set_up(context, method["id"])
    collection.settle(context, invoice, intent)
    _keep(context, method, invoice["customer"])
    return Attempt("paid")


def challenged(context: Context, invoice: Json) -> Json | None:
    """The invoice's payment if it waits for its owner's bank."""
    for payment in invoices.payments_of(context, invoice["id"]):
        intent = context.need("payment_intent", payment["payment"]["payment_intent"])
        if intent["status"] == "requires_action":
            return intent
    return None


def _payable(context: Context, id: str) -> Json:
    invoice = context.need(invoices.KIND, id)
    if invoice["status"] not in PAYABLE:
        raise StripeError(f"This invoice is {invoice['status']}; it cannot be paid.")
    return invoice


def _declined(context: Context, intent_id: str) -> Attempt:
    error = context.need("payment_intent", intent_id)["last_payment_error"]
    return Attempt("declined", error["message"])


def _keep(context: Context, method: Json, customer: str) -> None:
    """Save a new card; the customer's first one becomes the default."""
    if method["customer"] is not None:
        return
    payment_methods.attach(context, method, customer)
    found = context.need("customer", customer)
    if found["invoice_settings"]["default_payment_method"] is None:
        before = copied(found)
        found["invoice_settings"]["default_payment_method"] = method["id"]
        events.save_and_tell(context, "customer.updated", found, before)
