"""The control API's acts: what a test or the control page can make the sandbox do."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.store import Json
from sandbox.stripe import (
    books,
    cards,
    charges,
    checkout,
    checks,
    clock,
    control_billing,
    control_people,
    disputes,
    endpoints,
    faults,
    outbox,
    refunds,
    sessions,
)
from sandbox.stripe.checks import (
    Refusal,
    choice,
    flag,
    optional,
    pause,
    read,
    seconds,
    string,
    whole,
)
from sandbox.stripe.context import Context

SETTINGS: dict[str, checks.Check] = {
    "tax_bps": whole(0, 10_000),
    "fee_bps": whole(0, 10_000),
    "fee_fixed_minor": whole(0, 1_000_000),
    "dispute_fee_minor": whole(0, 1_000_000),
    "balance_delay_seconds": seconds,
    "refund_outcome": choice(*refunds.OUTCOMES),
    "deliveries": choice("auto", "held"),
    "api": choice("up", "down", "cut"),
    **control_billing.SETTINGS,
}
TAX = optional(whole(0, 99_999_999))


def pay_session(context: Context, body: Json, id: str) -> Json:
    """What a person does on the checkout page, in one call."""
    sent = read(
        body,
        {
            "method": choice("card", "bank_debit"),
            "card": string,
            "promotion_code": string,
            "quantity": whole(1, 999_999),
            "tax_minor": TAX,
            "email": string,
        },
    )
    session = checkout.open_session(context, id)
    if "quantity" in sent:
        checkout.set_quantity(context, session, sent["quantity"])
    if "promotion_code" in sent:
        checkout.use_code(context, session, sent["promotion_code"])
    if "tax_minor" in sent:
        checkout.fix_tax(context, session, sent["tax_minor"])
    card = None
    if sent.get("method", "card") == "card":
        try:
            card = cards.find(sent.get("card", "4242424242424242"))
        except cards.BadCard as problem:
            raise Refusal(str(problem)) from None
    known = (session["customer_details"] or {}).get("email")
    payer = checkout.Payer(email=sent.get("email") or known or "buyer@example.com", card=card)
    return _shown(context, checkout.pay(context, session, payer))


def _shown(context: Context, outcome: checkout.Outcome) -> Json:
    session = context.need(sessions.KIND, outcome.session["id"])
    return {"outcome": outcome.name, "message": outcome.message, "session": session}


def authenticate(context: Context, body: Json, id: str) -> Json:
    """Answer the 3-D Secure challenge."""
    sent = read(body, {"outcome": choice("authorised", "failed")}, required=("outcome",))
    session = checkout.open_session(context, id)
    authorised = sent["outcome"] == "authorised"
    return _shown(context, checkout.authenticate(context, session, authorised=authorised))


def settle_session(context: Context, body: Json, id: str) -> Json:
    """End a bank debit."""
    sent = read(body, {"outcome": choice("succeeded", "failed")}, required=("outcome",))
    return checkout.settle(context, id, succeeded=sent["outcome"] == "succeeded")


def fix_tax(context: Context, body: Json, id: str) -> Json:
    """Fix an open session's tax."""
    sent = read(body, {"tax_minor": TAX}, required=("tax_minor",))
    session = checkout.open_session(context, id)
    checkout.fix_tax(context, session, sent["tax_minor"])
    return session


def settle_refund(context: Context, body: Json, id: str) -> Json:
    """Let a refund succeed or fail."""
    fields = {
        "outcome": choice("succeeded", "failed"),
        "reason": choice(*refunds.FAILURE_REASONS),
    }
    sent = read(body, fields, required=("outcome",))
    refund = context.need("refund", id)
    reason = sent.get("reason", "declined")
    return refunds.settle(context, refund, outcome=sent["outcome"], reason=reason)


def settle_charge(context: Context, body: Json, id: str) -> Json:
    """Book a charge's balance transaction now."""
    read(body, {})
    charge = context.need("charge", id)
    charges.settle_balance(context, charge)
    return charge


def dispute_charge(context: Context, body: Json, id: str) -> Json:
    """The customer's bank takes a payment back, or asks about it."""
    fields = {
        "amount_minor": whole(1, 99_999_999),
        "reason": choice(*disputes.REASONS),
        "inquiry": flag,
    }
    sent = read(body, fields)
    return disputes.create(
        context,
        context.need("charge", id),
        amount=sent.get("amount_minor"),
        reason=sent.get("reason", "fraudulent"),
        inquiry=sent.get("inquiry", False),
    )


def settle_dispute(context: Context, body: Json, id: str) -> Json:
    """The bank decides on a dispute."""
    sent = read(body, {"outcome": choice(*disputes.MOVES)}, required=("outcome",))
    return disputes.settle(context, context.need("dispute", id), outcome=sent["outcome"])


def change_settings(context: Context, body: Json) -> Json:
    """Change settings; answers all of them."""
    for name, value in read(body, SETTINGS).items():
        context.tx.set_setting(name, value)
    return context.settings()


def show_settings(context: Context, body: Json) -> Json:
    """All settings in force."""
    return context.settings()


def show_deliveries(context: Context, body: Json) -> Json:
    """Deliveries that match."""
    names = ("status", "type", "event", "object")
    return {"data": outbox.listing(context.tx, read(body, dict.fromkeys(names, string)))}


def hold(context: Context, body: Json) -> Json:
    """Manual mode from now on."""
    read(body, {})
    context.tx.set_setting("deliveries", "held")
    return {"deliveries": "held"}


def release(context: Context, body: Json) -> Json:
    """Automatic mode again; what is held goes out."""
    sent = read(body, {"order": choice("created", "reversed", "shuffled")})
    context.tx.set_setting("deliveries", "auto")
    return {"released": outbox.release(context.tx, sent.get("order", "created"))}


def retry(context: Context, body: Json) -> Json:
    """Whatever waits for its next attempt is due now."""
    read(body, {})
    context.tx.run(
        "UPDATE deliveries SET next_attempt_at = ? WHERE status = 'pending'", (time.time(),)
    )
    return {"data": outbox.listing(context.tx, {"status": "pending"})}


def resend(context: Context, body: Json, id: str) -> Json:
    """One more delivery of an event to everyone who wants it."""
    read(body, {})
    event = context.need("event", id)
    wanting = outbox.wanting(context.tx, event["type"])
    created = outbox.enqueue(context.tx, event, wanting)
    return {"data": [outbox.delivery(context.tx, one) for one in created]}


FAULT_FIELDS: dict[str, checks.Check] = {
    "kind": choice(*faults.KINDS),
    "count": whole(1, 100_000),
    "type": string,
    "times": whole(2, 100),
    "delay_seconds": pause,
    "method": choice("*", "GET", "POST", "DELETE"),
    "path": string,
    "when": choice("before", "after"),
    "answer": choice("ok", "cut", "400", "429", "500", "502", "503", "504"),
}


def add_fault(context: Context, body: Json) -> Json:
    """A fault for the next matches."""
    if isinstance(body.get("answer"), int):
        body = {**body, "answer": str(body["answer"])}
    sent = read(body, FAULT_FIELDS, required=("kind",))
    kind, count = sent["kind"], sent.get("count", 1)
    if kind == "reorder" and count < 2:
        raise Refusal("count: reordering takes at least 2")
    if kind == "api":
        rule = {
            "method": sent.get("method", "*"),
            "path": sent.get("path", "/v1/*"),
            "when": sent.get("when", "before"),
            "answer": sent.get("answer", "500"),
            "delay_seconds": sent.get("delay_seconds", 0),
        }
    else:
        rule = {
            "type": sent.get("type", "*"),
            "times": sent.get("times", 2),
            "delay_seconds": sent.get("delay_seconds", 5),
        }
    return faults.add(context.tx, kind, count, rule)


def show_faults(context: Context, body: Json) -> Json:
    """Faults that have matches left."""
    return {"data": faults.listing(context.tx)}


def clear_faults(context: Context, body: Json) -> Json:
    """No more faults."""
    faults.clear(context.tx)
    return {"data": []}


def show_books(context: Context, body: Json) -> Json:
    """The sandbox's own books."""
    return {"stripe": books.compute(context.tx)}


def reset(context: Context, body: Json) -> Json:
    """Forget everything but what the environment says; the time is the real one again."""
    context.tx.forget_everything()
    clock.publish(context.tx, context.config)
    endpoints.follow_environment(context.tx, context.config, context.now)
    return {"reset": True}


Act = Callable[..., Json]
S = "/_sandbox/stripe"

# Deliver and quiet are asynchronous and live beside this table, in ``mount``.
ACTS: list[tuple[str, str, Act]] = [
    ("GET", "/_sandbox/books", show_books),
    ("POST", "/_sandbox/reset", reset),
    ("POST", f"{S}/sessions/{{id}}/pay", pay_session),
    ("POST", f"{S}/sessions/{{id}}/authenticate", authenticate),
    ("POST", f"{S}/sessions/{{id}}/settle", settle_session),
    ("POST", f"{S}/sessions/{{id}}/tax", fix_tax),
    ("POST", f"{S}/refunds/{{id}}/settle", settle_refund),
    ("POST", f"{S}/charges/{{id}}/settle", settle_charge),
    ("POST", f"{S}/charges/{{id}}/dispute", dispute_charge),
    ("POST", f"{S}/disputes/{{id}}/settle", settle_dispute),
    ("GET", f"{S}/settings", show_settings),
    ("POST", f"{S}/settings", change_settings),
    ("GET", f"{S}/deliveries", show_deliveries),
    ("POST", f"{S}/deliveries/hold", hold),
    ("POST", f"{S}/deliveries/release", release),
    ("POST", f"{S}/deliveries/retry", retry),
    ("POST", f"{S}/events/{{id}}/resend", resend),
    ("GET", f"{S}/faults", show_faults),
    ("POST", f"{S}/faults", add_fault),
    ("DELETE", f"{S}/faults", clear_faults),
    ("POST", f"{S}/faults/clear", clear_faults),
    *control_billing.ACTS,
    *control_people.ACTS,
]
