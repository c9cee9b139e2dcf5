"""The control API's acts for what a person or a bank would do to plans and saved cards."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.store import Json
from sandbox.stripe import cards, invoice_acts, payment_methods, subscriptions
from sandbox.stripe.checks import Refusal, read, string
from sandbox.stripe.context import Context


def change_bank(context: Context, body: Json, id: str) -> Json:
    """From now on a saved card fares like the test card of this number; it looks as before."""
    sent = read(body, {"card": string}, required=("card",))
    method = context.need(payment_methods.KIND, id)
    if method["type"] != "card":
        raise Refusal("this payment method is not a card")
    try:
        payment_methods.swap_card(context, id, sent["card"])
    except cards.BadCard as problem:
        raise Refusal(str(problem)) from None
    return method


def cancel_subscription(context: Context, body: Json, id: str) -> Json:
    """End a subscription now."""
    read(body, {})
    return subscriptions.cancel(context, {}, id)


def void_invoice(context: Context, body: Json, id: str) -> Json:
    """Take an open invoice back."""
    read(body, {})
    return invoice_acts.void(context, {}, id)


Act = Callable[..., Json]
S = "/_sandbox/stripe"

ACTS: list[tuple[str, str, Act]] = [
    ("POST", f"{S}/payment_methods/{{id}}/bank", change_bank),
    ("POST", f"{S}/subscriptions/{{id}}/cancel", cancel_subscription),
    ("POST", f"{S}/invoices/{{id}}/void", void_invoice),
]
