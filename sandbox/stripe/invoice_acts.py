"""What can be done to an invoice: finalise, pay, void, give it up, change what it says."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import (
    collection,
    events,
    invoices,
    subscription_docs,
    subscription_params,
    subscriptions,
)
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError
from sandbox.stripe.params import (
    EXPAND,
    Fields,
    boolean,
    clearable,
    merged,
    metadata,
    not_here,
    text,
)
from sandbox.stripe.routes import Route

KIND = invoices.KIND


def update(context: Context, params: Json, id: str) -> Json:
    """Change description, metadata, payment method or whether the draft goes on by itself."""
    invoice = context.need(KIND, id)
    before = copied(invoice)
    for name in ("auto_advance", "default_payment_method", "description"):
        if name in params:
            invoice[name] = params[name]
    invoice["metadata"] = merged(invoice["metadata"], params.get("metadata"))
    if invoice != before:
        invoices.save(context, invoice)
        events.emit(context, "invoice.updated", invoice, events.changes(before, invoice))
    return invoice


def finalize(context: Context, params: Json, id: str) -> Json:
    """Open a draft for payment; one that advances by itself is charged at once."""
    invoice = context.need(KIND, id)
    if invoice["status"] != "draft":
        raise StripeError("This invoice is already finalized, you can't re-finalize it.")
    invoice["auto_advance"] = params.get("auto_advance", invoice["auto_advance"])
    advance(context, invoice)
    return context.need(KIND, id)


def advance(context: Context, invoice: Json) -> None:
    """Finalise a draft and, if it advances by itself, try to collect it."""
    collection.finalize(context, invoice)
    if invoice["auto_advance"] or invoice["amount_due"] == 0:
        collection.collect(context, invoice)
    else:
        collection.intent_of(context, invoice)


def pay(context: Context, params: Json, id: str) -> Json:
    """Collect an open invoice now. Raises the 402 of a card that declines."""
    invoice = context.need(KIND, id)
    if invoice["status"] == "draft":
        collection.finalize(context, invoice)
    elif invoice["status"] not in ("open", "uncollectible"):
        invoice = collection.need_open(context, id, "pay")
    if params.get("paid_out_of_band"):
        collection.settle(context, invoice, None, outside=True)
        return context.need(KIND, id)
    method_id = params.get("payment_method")
    if method_id is not None:
        subscription_params.need_method(context, invoice["customer"], method_id)
    if invoice["amount_due"] and not (method_id or collection.method_for(context, invoice)):
        raise StripeError(subscriptions.NO_METHOD, code="resource_missing")
    if not collection.collect(context, invoice, method_id=method_id, by_hand=True):
        error = subscriptions.declined(context, invoice)
        error.keeps = True  # the attempt was made, and its events are told
        raise error
    return context.need(KIND, id)


def void(context: Context, params: Json, id: str) -> Json:
    """Take an open invoice back: nothing is owed any more."""
    invoice = context.need(KIND, id)
    if invoice["status"] != "uncollectible":
        invoice = collection.need_open(context, id, "void")
    collection.void(context, invoice)
    _first_given_up(context, invoice)
    return context.need(KIND, id)


def mark_uncollectible(context: Context, params: Json, id: str) -> Json:
    """Give an open invoice up; it can still be paid."""
    invoice = collection.need_open(context, id, "mark uncollectible")
    moment, told = "marked_uncollectible_at", "invoice.marked_uncollectible"
    collection.close(context, invoice, status="uncollectible", moment=moment, told=told)
    _first_given_up(context, invoice)
    return context.need(KIND, id)


def _first_given_up(context: Context, invoice: Json) -> None:
    """Without its first invoice a subscription never begins; a later one lets it go on."""
    subscription = context.tx.get(subscription_docs.KIND, invoices.subscription_of(invoice) or "")
    if subscription is not None and subscription["status"] == "incomplete":
        collection.expire(context, subscription)
    else:
        collection.follow(context, invoice)


UPDATE: Fields = {
    **EXPAND,
    **not_here(
        "account_tax_ids application_fee_amount automatic_tax automatically_finalizes_at "
        "collection_method custom_fields days_until_due default_source default_tax_rates discounts "
        "due_date effective_at footer issuer number on_behalf_of payment_settings rendering "
        "shipping_cost shipping_details statement_descriptor transfer_data"
    ),
    "auto_advance": boolean,
    "default_payment_method": clearable(text()),
    "description": clearable(text(1500)),
    "metadata": metadata,
}
PAY: Fields = {
    **EXPAND,
    **not_here("forgive mandate source"),
    "off_session": boolean,
    "paid_out_of_band": boolean,
    "payment_method": text(),
}
BASE = "/v1/invoices/:id"

ROUTES = [
    Route("POST", BASE, update, UPDATE),
    Route("POST", f"{BASE}/finalize", finalize, {**EXPAND, "auto_advance": boolean}),
    Route("POST", f"{BASE}/pay", pay, PAY),
    Route("POST", f"{BASE}/void", void),
    Route("POST", f"{BASE}/mark_uncollectible", mark_uncollectible),
]
