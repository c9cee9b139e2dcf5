"""Disputes: a bank takes a card payment back (chargeback), or only asks about it (inquiry)."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import balance_transactions, events, ids, lists, refunds
from sandbox.stripe.amounts import display
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, bad_param
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import (
    EXPAND,
    PAGING,
    Fields,
    boolean,
    clearable,
    group,
    merged,
    metadata,
    not_here,
    text,
)
from sandbox.stripe.routes import Route

CHARGEBACK = ("needs_response", "under_review")
INQUIRY = ("warning_needs_response", "warning_under_review")
# outcome -> from which statuses it can be reached
SETTLED_FROM = {"won": CHARGEBACK, "lost": CHARGEBACK, "warning_closed": INQUIRY}
MOVES = {**SETTLED_FROM, "escalated": INQUIRY}

REASONS = (
    *("bank_cannot_process", "check_returned", "credit_not_processed", "customer_initiated"),
    *("debit_not_authorized", "duplicate", "fraudulent", "general", "incorrect_account_details"),
    *("insufficient_funds", "noncompliant", "product_not_received", "product_unacceptable"),
    *("subscription_canceled", "unrecognized"),
)
VISA_CODES = {
    "credit_not_processed": "13.6",
    "duplicate": "12.6",
    "fraudulent": "10.4",
    "product_not_received": "13.1",
    "product_unacceptable": "13.3",
    "subscription_canceled": "13.2",
}
DAY_SECONDS = 24 * 3600
ANSWER_DAYS = 8
INQUIRY_DAYS = 120

TEXTS = (
    *("access_activity_log", "billing_address", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_email_address", "customer_name", "customer_purchase_ip"),
    *("duplicate_charge_explanation", "duplicate_charge_id", "product_description"),
    *("refund_policy_disclosure", "refund_refusal_explanation", "service_date"),
    *("shipping_address", "shipping_carrier", "shipping_date", "shipping_tracking_number"),
    "uncategorized_text",
)
FILES = (
    *("cancellation_policy", "customer_communication", "customer_signature"),
    *("duplicate_charge_documentation", "receipt", "refund_policy", "service_documentation"),
    *("shipping_documentation", "uncategorized_file"),
)
TEXT_LIMIT = 20_000
ALL_TEXTS_LIMIT = 150_000
# Stripe's test evidence -> (outcome of a chargeback, outcome of an inquiry)
TEST_EVIDENCE = {
    "winning_evidence": ("won", "warning_closed"),
    "losing_evidence": ("lost", "warning_closed"),
    "escalate_inquiry_evidence": (None, "escalated"),
}


def create(
    context: Context, charge: Json, *, reason: str, inquiry: bool, amount: int | None = None
) -> Json:
    """Dispute ``amount`` of a card payment (default: all that is left of it).

    A chargeback withdraws the amount and a fee at once; an inquiry moves nothing.
    """
    _require_disputable(context, charge)
    if not inquiry:
        refunds.overtake(context, charge["id"])
    charge = context.need("charge", charge["id"])
    left = _left(context, charge)
    asked = left if amount is None else amount
    if not 0 < asked <= left:
        shown = display(left, charge["currency"])
        raise StripeError(f"Of charge {charge['id']} no more than {shown} can be disputed.")
    dispute = _build(context, charge, amount=asked, reason=reason, inquiry=inquiry)
    context.tx.insert(dispute)
    charge["disputed"] = True
    context.tx.save(charge)
    events.emit(context, "charge.dispute.created", dispute)
    if not inquiry:
        _withdraw(context, dispute, charge)
    return dispute


def _require_disputable(context: Context, charge: Json) -> None:
    id = charge["id"]
    if charge["status"] != "succeeded":
        raise StripeError(f"Charge {id} has not been paid.")
    if charge["payment_method_details"]["type"] != "card":
        raise StripeError("The sandbox models disputes of card payments only.")
    if is_open(context, id):
        raise StripeError(f"Charge {id} has a dispute that is still open.")


def is_open(context: Context, charge: str) -> bool:
    """Whether the charge has a dispute that is not decided."""
    return any(one["status"] in CHARGEBACK + INQUIRY for one in _of_charge(context, charge))


def _of_charge(context: Context, id: str) -> list[Json]:
    return context.tx.find("dispute", "json_extract(data, '$.charge') = ?", (id,))


def _left(context: Context, charge: Json) -> int:
    """What the merchant still has of the charge."""
    disputes = _of_charge(context, charge["id"])
    lost = sum(one["amount"] for one in disputes if one["status"] == "lost")
    return int(charge["amount"] - charge["amount_refunded"] - lost)


def _build(context: Context, charge: Json, *, amount: int, reason: str, inquiry: bool) -> Json:
    payer = charge["billing_details"]
    evidence: Json = {**dict.fromkeys(TEXTS + FILES), "enhanced_evidence": {}}
    evidence |= {"customer_email_address": payer["email"], "customer_name": payer["name"]}
    dispute: Json = {
        "id": ids.new("du"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": context.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": _due_by(context),
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": reason,
        "status": INQUIRY[0] if inquiry else CHARGEBACK[0],
    }
    _set_case(dispute, charge, inquiry=inquiry)
    return dispute


def _due_by(context: Context) -> int:
    """The last second of the day on which an answer is due."""
    return (context.now // DAY_SECONDS + ANSWER_DAYS + 1) * DAY_SECONDS - 1


def _set_case(dispute: Json, charge: Json, *, inquiry: bool) -> None:
    """How the card's network calls it; an inquiry carries only the category of the reason."""
    card = charge["payment_method_details"]["card"]
    code = VISA_CODES.get(dispute["reason"]) if card["brand"] == "visa" else None
    if code is not None and inquiry:
        code = code.split(".")[0]
    dispute["network_reason_code"] = code
    dispute["payment_method_details"] = {
        "type": "card",
        "card": {
            "brand": card["brand"],
            "case_type": "inquiry" if inquiry else "chargeback",
            "network": card["network"],
            "network_reason_code": code,
        },
    }


def _withdraw(context: Context, dispute: Json, charge: Json) -> None:
    _book(context, dispute, charge, what="dispute", amount=-dispute["amount"])
    context.tx.save(dispute)
    events.emit(context, "charge.dispute.funds_withdrawn", dispute)


def _book(context: Context, dispute: Json, charge: Json, *, what: str, amount: int) -> None:
    booked = balance_transactions.record(context, dispute, charge, what=what, amount=amount)
    dispute["balance_transactions"].append(booked)


def settle(context: Context, dispute: Json, *, outcome: str) -> Json:
    """What the bank decides: ``won``, ``lost``, ``warning_closed``, or an inquiry ``escalated``."""
    if dispute["status"] not in MOVES[outcome]:
        raise StripeError(f"A dispute that is {dispute['status']} cannot be {outcome}.")
    charge = context.need("charge", dispute["charge"])
    if outcome == "escalated":
        _escalate(context, dispute, charge)
        return dispute
    dispute["status"] = outcome
    if outcome == "won":
        dispute["is_charge_refundable"] = True
        _book(context, dispute, charge, what="dispute_reversal", amount=dispute["amount"])
    context.tx.save(dispute)
    if outcome == "won":
        events.emit(context, "charge.dispute.funds_reinstated", dispute)
    events.emit(context, "charge.dispute.closed", dispute)
    return dispute


def _escalate(context: Context, dispute: Json, charge: Json) -> None:
    """An inquiry becomes a chargeback; refunds made since it was opened come back."""
    if charge["refunded"]:
        raise StripeError(
            f"Charge {charge['id']} was refunded in full; its inquiry can only close."
        )
    refunds.overtake(context, charge["id"], inquiry=dispute["id"])
    before = copied(dispute)
    dispute["status"] = CHARGEBACK[0]
    dispute["is_charge_refundable"] = False
    dispute["evidence_details"]["due_by"] = _due_by(context)
    _set_case(dispute, charge, inquiry=False)
    events.save_and_tell(context, "charge.dispute.updated", dispute, before)
    _withdraw(context, dispute, charge)


def end_overdue(context: Context) -> None:
    """Chargebacks nobody answered in time are lost; inquiries that led to nothing are closed."""
    status = "json_extract(data, '$.status') = ?"
    late = f"{status} AND json_extract(data, '$.evidence_details.due_by') < ?"
    for dispute in context.tx.find("dispute", late, (CHARGEBACK[0], context.now)):
        settle(context, dispute, outcome="lost")
    old = context.now - INQUIRY_DAYS * DAY_SECONDS
    for name in INQUIRY:
        for dispute in context.tx.find("dispute", f"{status} AND created < ?", (name, old)):
            settle(context, dispute, outcome="warning_closed")


def update(context: Context, params: Json, id: str) -> Json:
    """Change metadata, stage evidence or submit it; test evidence is then decided at once."""
    dispute = _open_dispute(context, id)
    before = copied(dispute)
    dispute["metadata"] = merged(dispute["metadata"], params.get("metadata"))
    sent = params.get("evidence")
    details = dispute["evidence_details"]
    if sent is not None:
        dispute["evidence"].update(sent)
        _require_short(dispute["evidence"])
        details["has_evidence"] = details["has_evidence"] or any(sent.values())
    submitted = params.get("submit", sent is not None) and details["has_evidence"]
    if submitted:
        details["past_due"] = context.now > details["due_by"]
        details["submission_count"] += 1
        track = INQUIRY if dispute["status"] in INQUIRY else CHARGEBACK
        dispute["status"] = track[1]
    events.save_and_tell(context, "charge.dispute.updated", dispute, before)
    answer = copied(dispute)
    if submitted:
        _judge(context, dispute)
    return answer


def _open_dispute(context: Context, id: str) -> Json:
    dispute = context.need("dispute", id)
    if dispute["status"] in SETTLED_FROM:
        raise StripeError("This dispute is already closed")
    return dispute


def _require_short(evidence: Json) -> None:
    if sum(len(evidence[name] or "") for name in TEXTS) > ALL_TEXTS_LIMIT:
        message = f"The combined evidence can have up to {ALL_TEXTS_LIMIT} characters."
        raise bad_param(message, "evidence")


def _judge(context: Context, dispute: Json) -> None:
    """Decide on Stripe's test evidence; anything else stays under review."""
    typed = dispute["evidence"]["uncategorized_text"]
    chargeback, inquiry = TEST_EVIDENCE.get(typed, (None, None))
    outcome = inquiry if dispute["status"] in INQUIRY else chargeback
    if outcome is not None:
        settle(context, dispute, outcome=outcome)


def close(context: Context, params: Json, id: str) -> Json:
    """Accept a chargeback as lost."""
    dispute = _open_dispute(context, id)
    if dispute["status"] in INQUIRY:
        raise StripeError("This dispute is an inquiry; refund the payment or submit evidence.")
    return settle(context, dispute, outcome="lost")


EXPANDABLE["dispute"] = {"charge": ref("charge"), "payment_intent": ref("payment_intent")}

EVIDENCE: Fields = {
    **dict.fromkeys(TEXTS, clearable(text(TEXT_LIMIT))),
    **not_here(" ".join(FILES)),
    **not_here("enhanced_evidence"),
}
UPDATE: Fields = {
    **EXPAND,
    "evidence": group(EVIDENCE),
    "metadata": metadata,
    "submit": boolean,
}

ROUTES = [
    Route(
        "GET",
        "/v1/disputes",
        lists.lister("dispute", "/v1/disputes", "charge", "payment_intent"),
        {**PAGING, "charge": text(), "payment_intent": text()},
    ),
    Route("GET", "/v1/disputes/:id", lists.retriever("dispute")),
    Route("POST", "/v1/disputes/:id", update, UPDATE),
    Route("POST", "/v1/disputes/:id/close", close),
]
