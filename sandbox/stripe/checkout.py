"""Paying a session: what the buttons of the hosted page do, and the control API's short cuts."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.store import Json
from sandbox.stripe import (
    cards,
    coupons,
    customers,
    events,
    payment_intents,
    payment_methods,
    pricing,
    sessions,
)
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError

KIND = sessions.KIND


@dataclass(frozen=True, slots=True)
class Payer:
    """What a person types: all of it checked before it gets here."""

    email: str | None
    name: str | None = None
    card: cards.Card | None = None
    expiry: tuple[int, int] = (12, 2034)


@dataclass(frozen=True, slots=True)
class Outcome:
    """paid, free, processing, challenge or declined, with a sentence for people."""

    name: str
    message: str
    session: Json


def open_session(context: Context, id: str) -> Json:
    """The session if it can still be paid. Raises StripeError otherwise."""
    session = context.need(KIND, id)
    if session["status"] != "open":
        raise StripeError(f"This session is {session['status']}; it cannot be paid any more.")
    return session


def use_code(context: Context, session: Json, typed: str | None) -> None:
    """Apply the promotion code a customer typed, or take the applied one off (None)."""
    if not session["allow_promotion_codes"]:
        raise StripeError("This session takes no promotion codes.", param="promotion_code")
    private = context.tx.private(KIND, session["id"])
    private["discount"] = None
    if typed is not None:
        private["discount"] = pricing.discount_by_code(context, session, typed)
    _reprice(context, session, private)


def set_quantity(context: Context, session: Json, quantity: int) -> None:
    """Change how many of the first line are bought, if that is allowed."""
    private = context.tx.private(KIND, session["id"])
    line = private["lines"][0]
    bounds = line["adjustable_quantity"]
    if bounds is None or not max(1, bounds["minimum"]) <= quantity <= bounds["maximum"]:
        raise StripeError("This quantity cannot be chosen.", param="quantity")
    line["quantity"] = quantity
    _reprice(context, session, private)


def fix_tax(context: Context, session: Json, tax_minor: int | None) -> None:
    """Set the tax of an open session exactly; None goes back to the rate."""
    private = context.tx.private(KIND, session["id"])
    private["tax_minor"] = tax_minor
    _reprice(context, session, private)


def _reprice(context: Context, session: Json, private: Json) -> None:
    pricing.reprice(context, session, private)
    pricing.require_minimum(session)
    context.tx.save(session)
    context.tx.save_private(KIND, session["id"], private)


def pay(context: Context, session: Json, payer: Payer) -> Outcome:
    """Pay an open session: with the payer's card, by bank debit without one, or for nothing."""
    private = context.tx.private(KIND, session["id"])
    pricing.reprice(context, session, private)  # the rate may have changed since the page was made
    context.tx.save(session)
    if session["amount_total"] == 0:
        if private["payment_intent"] is not None:  # begun before it became free
            begun = context.need("payment_intent", private["payment_intent"])
            payment_intents.cancel(context, begun, reason="abandoned")
        _remember_payer(context, session, payer)
        _complete(context, session, payment_status="no_payment_required")
        return Outcome("free", "Nothing to pay.", session)
    intent = _intent(context, session, private, payer)
    if payer.card is None:
        return _pay_by_bank(context, session, intent, payer)
    method = payment_methods.create_card(
        context, payer.card, expiry=payer.expiry, email=payer.email, name=payer.name
    )
    status = payment_intents.pay_by_card(context, intent, method, payer.card)
    private["payer"] = {"email": payer.email, "name": payer.name, "card": payer.card.number}
    context.tx.save_private(KIND, session["id"], private)
    return _after_card(context, session, intent, payer, status)


def _after_card(
    context: Context, session: Json, intent: Json, payer: Payer, status: str
) -> Outcome:
    if status == "requires_action":
        return Outcome("challenge", "The bank asks for authentication.", session)
    if status != "succeeded":
        return Outcome("declined", intent["last_payment_error"]["message"], session)
    _remember_payer(context, session, payer, intent)
    _complete(context, session, payment_status="paid", intent=intent)
    return Outcome("paid", "Payment complete.", session)


def _pay_by_bank(context: Context, session: Json, intent: Json, payer: Payer) -> Outcome:
    method = payment_methods.create_bank_debit(context, email=payer.email, name=payer.name)
    _remember_payer(context, session, payer, intent)
    payment_intents.debit_bank(context, intent, method)
    _complete(context, session, payment_status="unpaid", intent=intent)
    return Outcome("processing", "The debit is under way.", session)


def _intent(context: Context, session: Json, private: Json, payer: Payer) -> Json:
    """The session's PaymentIntent, made at the first attempt and brought up to its amount."""
    if private["payment_intent"] is not None:
        intent = context.need("payment_intent", private["payment_intent"])
        intent["amount"] = session["amount_total"]
        return intent
    if session["customer_creation"] == "always" and session["customer"] is None:
        customer = customers.create(context, {"email": payer.email, "name": payer.name})
        session["customer"] = customer["id"]
        context.tx.save(session)
    intent = payment_intents.create(
        context,
        amount=session["amount_total"],
        currency=session["currency"],
        data={**private["payment_intent_data"], "customer": session["customer"]},
    )
    private["payment_intent"] = intent["id"]
    context.tx.save_private(KIND, session["id"], private)
    return intent


def authenticate(context: Context, session: Json, *, authorised: bool) -> Outcome:
    """Answer the 3-D Secure challenge of an open session."""
    private = context.tx.private(KIND, session["id"])
    known = private.get("payer", {})
    intent_id = private["payment_intent"]
    intent = context.need("payment_intent", intent_id) if intent_id else None
    if intent is None or intent["status"] != "requires_action":
        raise StripeError("This session does not wait for authentication.")
    card = cards.CARDS[known["card"]]
    payer = Payer(email=known["email"], name=known["name"], card=card)
    status = payment_intents.authenticate(context, intent, card, authorised=authorised)
    return _after_card(context, session, intent, payer, status)


def settle(context: Context, id: str, *, succeeded: bool) -> Json:
    """End the bank debit of a completed session."""
    session = context.need(KIND, id)
    intent_id = session["payment_intent"]
    intent = context.need("payment_intent", intent_id) if intent_id else None
    if intent is None or intent["status"] != "processing":
        raise StripeError("This session has no bank debit under way.")
    payment_intents.settle_debit(context, intent, succeeded=succeeded)
    if succeeded:
        session["payment_status"] = "paid"
        context.tx.save(session)
    outcome = "succeeded" if succeeded else "failed"
    events.emit(context, f"checkout.session.async_payment_{outcome}", session)
    return session


def _remember_payer(
    context: Context, session: Json, payer: Payer, intent: Json | None = None
) -> None:
    """Keep the typed e-mail and name on the session, and a new e-mail on its customer."""
    before = session["customer_details"] or {}
    email = payer.email or before.get("email")
    name = payer.name or before.get("name")
    session["customer_details"] = sessions.details(email, name, before.get("address"))
    if intent is not None and intent["customer"] is not None:
        session["customer"] = intent["customer"]
    customer = context.tx.get("customer", session["customer"] or "")
    if customer is not None and customer["email"] is None:
        changed = copied(customer)
        changed["email"] = email
        events.save_and_tell(context, "customer.updated", changed, customer)


def _complete(
    context: Context, session: Json, *, payment_status: str, intent: Json | None = None
) -> None:
    session["status"] = "complete"
    session["payment_status"] = payment_status
    session["payment_intent"] = intent["id"] if intent else None
    session["url"] = None
    if session["automatic_tax"]["enabled"]:
        session["automatic_tax"]["status"] = "complete"
    context.tx.save(session)
    discount = context.tx.private(KIND, session["id"])["discount"]
    if discount is not None:
        coupons.redeem(context, discount)
    events.emit(context, "checkout.session.completed", session)
