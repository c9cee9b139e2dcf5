"""Completing a session: what the buttons of the hosted page do, and the control API's short cuts.

What is to be paid now is paid by a PaymentIntent. Where nothing is, but a card is wanted for later,
a SetupIntent saves it. Either may end in a challenge and go on from there.
"""

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
    session_shape,
    sessions,
    setup_intents,
    subscriptions,
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
    """paid, free, saved, processing, challenge or declined, with a sentence for people."""

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
    bounds = private["lines"][0]["adjustable_quantity"] if private["lines"] else None
    if bounds is None or not max(1, bounds["minimum"]) <= quantity <= bounds["maximum"]:
        raise StripeError("This quantity cannot be chosen.", param="quantity")
    private["lines"][0]["quantity"] = quantity
    _reprice(context, session, private)


def fix_tax(context: Context, session: Json, tax_minor: int | None) -> None:
    """Set the tax of an open session exactly; None goes back to the rate."""
    if session["mode"] == "setup":
        raise StripeError("This session sells nothing that could be taxed.", param="tax_minor")
    private = context.tx.private(KIND, session["id"])
    private["tax_minor"] = tax_minor
    _reprice(context, session, private)


def _reprice(context: Context, session: Json, private: Json) -> None:
    pricing.reprice(context, session, private)
    pricing.require_minimum(session)
    context.tx.save(session)
    context.tx.save_private(KIND, session["id"], private)


def pay(context: Context, session: Json, payer: Payer) -> Outcome:
    """Complete an open session: by the payer's card, by bank debit without one, or for nothing."""
    private = context.tx.private(KIND, session["id"])
    pricing.reprice(context, session, private)  # the rate may have changed since the page was made
    context.tx.save(session)
    if session["amount_total"]:
        intent = _payment_intent(context, session, private, payer)
        if payer.card is None:
            return _pay_by_bank(context, session, intent, payer)
    elif sessions.wants_card(session):
        intent = _setup_intent(context, session, private, payer)
    else:
        _abandon(context, private, "payment_intent")
        _remember_payer(context, session, payer)
        _complete(context, session, payment_status="no_payment_required")
        return Outcome("free", "Nothing to pay.", session)
    return _try_card(context, session, private, intent, payer)


def _try_card(
    context: Context, session: Json, private: Json, intent: Json, payer: Payer
) -> Outcome:
    if payer.card is None:
        raise StripeError("This session takes cards only.", param="method")
    method = payment_methods.create_card(
        context, payer.card, expiry=payer.expiry, email=payer.email, name=payer.name
    )
    if intent["object"] == setup_intents.KIND:
        status = setup_intents.attempt(context, intent, method)
    else:
        status = payment_intents.pay_by_card(context, intent, method, payer.card)
    private["payer"] = {"email": payer.email, "name": payer.name, "card": payer.card.number}
    context.tx.save_private(KIND, session["id"], private)
    return _after_card(context, session, intent, payer, status)


def _after_card(
    context: Context, session: Json, intent: Json, payer: Payer, status: str
) -> Outcome:
    if status == "requires_action":
        return Outcome("challenge", "The bank asks for authentication.", session)
    by_payment = intent["object"] != setup_intents.KIND
    if status != "succeeded":
        error = intent["last_payment_error" if by_payment else "last_setup_error"]
        return Outcome("declined", error["message"], session)
    _remember_payer(context, session, payer, intent)
    if by_payment:
        _keep_card(context, intent)
        _complete(context, session, payment_status="paid", intent=intent)
        return Outcome("paid", "Payment complete.", session)
    _complete(context, session, payment_status="no_payment_required", intent=intent)
    if session["mode"] == "setup":
        return Outcome("saved", "The card is saved.", session)
    return Outcome("free", "Nothing to pay now.", session)


def _keep_card(context: Context, intent: Json) -> None:
    """Save the card that paid to its customer if that was asked for; else it pays but once."""
    method = context.need("payment_method", intent["payment_method"])
    if intent["setup_future_usage"] is None or intent["customer"] is None:
        payment_methods.spend(context, method["id"])
        return
    payment_methods.attach(context, method, intent["customer"])
    charge = context.need("charge", intent["latest_charge"])
    if charge["payment_method_details"]["card"]["three_d_secure"] is not None:
        payment_methods.mark_set_up(context, method["id"])


def _pay_by_bank(context: Context, session: Json, intent: Json, payer: Payer) -> Outcome:
    if "us_bank_account" not in session["payment_method_types"]:
        raise StripeError("This session takes cards only.", param="method")
    method = payment_methods.create_bank_debit(context, email=payer.email, name=payer.name)
    _remember_payer(context, session, payer, intent)
    payment_intents.debit_bank(context, intent, method)
    _complete(context, session, payment_status="unpaid", intent=intent)
    return Outcome("processing", "The debit is under way.", session)


def _payment_intent(context: Context, session: Json, private: Json, payer: Payer) -> Json:
    """The session's PaymentIntent, made at the first attempt and brought up to its amount."""
    _abandon(context, private, setup_intents.KIND)
    if private["payment_intent"] is not None:
        intent = context.need("payment_intent", private["payment_intent"])
        intent["amount"] = session["amount_total"]
        return intent
    data: Json = dict(private["payment_intent_data"])
    if session["mode"] == "subscription":
        data = {"description": "Subscription creation", "setup_future_usage": "off_session"}
    _make_customer(context, session, payer, saves="setup_future_usage" in data)
    intent = payment_intents.create(
        context,
        amount=session["amount_total"],
        currency=session["currency"],
        data={**data, "customer": session["customer"]},
    )
    private["payment_intent"] = intent["id"]
    context.tx.save_private(KIND, session["id"], private)
    return intent


def _setup_intent(context: Context, session: Json, private: Json, payer: Payer) -> Json:
    """The session's SetupIntent; a payment that was begun before it became free is called off."""
    _abandon(context, private, "payment_intent")
    _make_customer(context, session, payer, saves=session["mode"] == "subscription")
    if private["setup_intent"] is None:
        intent = setup_intents.build(context, customer=session["customer"], data={})
        private["setup_intent"] = intent["id"]
        context.tx.save_private(KIND, session["id"], private)
    intent = context.need(setup_intents.KIND, private["setup_intent"])
    intent["customer"] = session["customer"]
    return intent


def _abandon(context: Context, private: Json, name: str) -> None:
    """Call off what was begun and is not needed any more."""
    if private[name] is None:
        return
    if name == setup_intents.KIND:
        setup_intents.end(context, context.need(name, private[name]), reason="abandoned")
    else:
        begun = context.need(name, private[name])
        payment_intents.cancel(context, begun, reason="abandoned")
    private[name] = None


def _make_customer(context: Context, session: Json, payer: Payer, *, saves: bool) -> None:
    """A customer for a session that has none but needs one."""
    wanted = session["customer_creation"] == "always" or saves
    if session["customer"] is None and wanted:
        customer = customers.create(context, {"email": payer.email, "name": payer.name})
        session["customer"] = customer["id"]
        context.tx.save(session)


def authenticate(context: Context, session: Json, *, authorised: bool) -> Outcome:
    """Answer the 3-D Secure challenge of an open session."""
    intent = challenged(context, session)
    if intent is None:
        raise StripeError("This session does not wait for authentication.")
    known = context.tx.private(KIND, session["id"])["payer"]
    card = cards.CARDS[known["card"]]
    payer = Payer(email=known["email"], name=known["name"], card=card)
    if intent["object"] == setup_intents.KIND:
        status = setup_intents.authenticate(context, intent, authorised=authorised)
    else:
        status = payment_intents.authenticate(context, intent, card, authorised=authorised)
    return _after_card(context, session, intent, payer, status)


def challenged(context: Context, session: Json) -> Json | None:
    """What of an open session waits for its owner's bank, if anything."""
    if session["status"] != "open":
        return None
    private = context.tx.private(KIND, session["id"])
    for kind in ("payment_intent", setup_intents.KIND):
        intent = context.tx.get(kind, private[kind] or "")
        if intent is not None and intent["status"] == "requires_action":
            return intent
    return None


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
    _make_customer(context, session, payer, saves=session["mode"] == "subscription")
    before = session["customer_details"] or {}
    email = payer.email or before.get("email")
    name = payer.name or before.get("name")
    session["customer_details"] = session_shape.details(email, name, before.get("address"))
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
    session["url"] = None
    if session["automatic_tax"]["enabled"]:
        session["automatic_tax"]["status"] = "complete"
    if session["mode"] == "subscription":
        _subscribe(context, session, intent)
    elif session["mode"] == "payment":
        session["payment_intent"] = intent["id"] if intent else None
    context.tx.save(session)
    discount = context.tx.private(KIND, session["id"])["discount"]
    if discount is not None:
        coupons.redeem(context, discount)
    events.emit(context, "checkout.session.completed", session)


def _subscribe(context: Context, session: Json, intent: Json | None) -> None:
    """Make what was sold: a subscription with its first invoice, paid by the intent if it paid."""
    private = context.tx.private(KIND, session["id"])
    data = private["subscription_data"]
    paid = intent is not None and intent["object"] == "payment_intent"
    subscription = subscriptions.create_from_checkout(
        context,
        session=session,
        items=[{"price": line["price"], "quantity": line["quantity"]} for line in private["lines"]],
        trial_days=data.get("trial_period_days"),
        discount=private["discount"],
        metadata=data.get("metadata", {}),
        payment_method=intent["payment_method"] if intent else None,
        intent=intent if paid else None,
    )
    session["subscription"] = subscription["id"]
    session["invoice"] = subscription["latest_invoice"]
