"""The control API's acts on subscriptions, invoices and time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.store import Json
from sandbox.stripe import (
    cards,
    checks,
    clock,
    collection,
    customers,
    invoices,
    payment_methods,
)
from sandbox.stripe.checks import Refusal, choice, read, string, whole
from sandbox.stripe.context import Context

MAX_RETRIES = 8


def days(value: Any) -> list[int]:
    """Pauses in days between the attempts to collect an invoice: a list, or text with commas."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or len(parts) > MAX_RETRIES:
        raise ValueError(f"must be a list of at most {MAX_RETRIES} numbers of days")
    return [int(whole(1, 60)(part)) for part in parts]


SETTINGS: dict[str, checks.Check] = {
    "invoice_finalize_seconds": whole(0, 72 * 3600),
    "retry_days": days,
    "after_retries": choice("canceled", "unpaid", "past_due"),
}


def _card(number: str) -> cards.Card:
    try:
        return cards.find(number)
    except cards.BadCard as problem:
        raise Refusal(str(problem)) from None


def give_card(context: Context, body: Json, id: str) -> Json:
    """Save a card of that number to the customer and make it the default, whatever its bank says.

    What the customer's subscriptions are paid with is changed, too.
    """
    sent = read(body, {"card": string}, required=("card",))
    customer = context.need("customer", id)
    method = payment_methods.create_card(context, _card(sent["card"]), email=customer["email"])
    payment_methods.mark_set_up(context, method["id"])
    payment_methods.attach(context, method, id)
    chosen = {"invoice_settings": {"default_payment_method": method["id"]}}
    customers.update(context, chosen, id)
    collection.pay_all_with(context, id, method["id"])
    return method


def pay_invoice(context: Context, body: Json, id: str) -> Json:
    """The customer pays an open invoice by hand, with the usual card or another one."""
    sent = read(body, {"card": string})
    invoice = collection.need_open(context, id, "pay")
    method_id = None
    if "card" in sent:
        method = payment_methods.create_card(context, _card(sent["card"]))
        payment_methods.mark_set_up(context, method["id"])
        method_id = method["id"]
        payment_methods.attach(context, method, invoice["customer"])
    collection.collect(context, invoice, method_id=method_id, by_hand=True)
    return context.need(invoices.KIND, id)


def advance_clock(context: Context, body: Json) -> Json:
    """Move the sandbox's time forward; what falls due on the way is done at its own moment."""
    fields = {"advance_seconds": whole(0, 3650 * 24 * 3600)}
    sent = read(body, fields, required=("advance_seconds",))
    return clock.advance(context.tx, context.config, sent["advance_seconds"])


def show_clock(context: Context, body: Json) -> Json:
    """The sandbox's time and its offset."""
    return clock.show(context.tx)


Act = Callable[..., Json]
S = "/_sandbox/stripe"

ACTS: list[tuple[str, str, Act]] = [
    ("GET", "/_sandbox/clock", show_clock),
    ("POST", f"{S}/clock", advance_clock),
    ("POST", f"{S}/customers/{{id}}/card", give_card),
    ("POST", f"{S}/invoices/{{id}}/pay", pay_invoice),
]
