"""Refunds: in full or in part, at once or pending, and failing later."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import balance_transactions, events, ids, lists
from sandbox.stripe.amounts import display
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, bad_param
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import EXPAND, PAGING, integer, merged, metadata, not_here, text
from sandbox.stripe.routes import Route

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
OUTCOMES = ("succeeded", "pending", "requires_action", "failed")
FAILURE_REASONS = (
    "charge_for_pending_refund_disputed",
    "declined",
    "expired_or_canceled_card",
    "insufficient_funds",
    "lost_or_stolen_card",
    "merchant_request",
    "unknown",
)


def create(context: Context, params: Json) -> Json:
    """Give back all that is left of a charge, or ``amount`` of it."""
    charge = _charge(context, params)
    _require_undisputed(context, charge)
    amount = _amount(charge, params.get("amount"))
    outcome = str(context.setting("refund_outcome"))
    refund = _build(context, charge, params, amount=amount, status=outcome)
    context.tx.insert(refund)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    if outcome in ("succeeded", "pending"):
        _book(context, refund, charge)
    context.tx.save(refund)
    context.tx.save(charge)
    events.emit(context, "refund.created", refund)
    events.emit(context, "charge.refunded", charge)
    if outcome == "failed":
        _fail(context, refund, "declined")
    return context.need("refund", refund["id"])


def _charge(context: Context, params: Json) -> Json:
    """The charge that is meant; it must have succeeded."""
    if "charge" in params and "payment_intent" in params:
        message = "Only one of charge or payment_intent may be passed."
        raise bad_param(message, "charge")
    if "payment_intent" in params:
        intent = context.need("payment_intent", params["payment_intent"], param="payment_intent")
        if intent["status"] != "succeeded":
            message = (
                f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            )
            raise StripeError(message, code="payment_intent_unexpected_state")
        return context.need("charge", intent["latest_charge"])
    if "charge" not in params:
        message = "One of these parameters is required: payment_intent or charge."
        raise bad_param(message, "charge", "parameter_missing")
    charge = context.need("charge", params["charge"], param="charge")
    if charge["status"] != "succeeded":
        raise StripeError(f"Charge {charge['id']} has not been paid.", param="charge")
    return charge


def _require_undisputed(context: Context, charge: Json) -> None:
    """A chargeback holds or took the money; inquiries and disputes won leave it refundable."""
    holding = (
        "json_extract(data, '$.charge') = ? AND NOT json_extract(data, '$.is_charge_refundable')"
    )
    if context.tx.find("dispute", holding, (charge["id"],)):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeError(message, code="charge_disputed")


def _amount(charge: Json, asked: int | None) -> int:
    left = int(charge["amount"] - charge["amount_refunded"])
    if left == 0:
        raise StripeError(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if asked is not None and asked > left:
        message = (
            f"Refund amount ({display(asked, charge['currency'])}) is greater than unrefunded "
            f"amount on charge ({display(left, charge['currency'])})"
        )
        raise StripeError(message, param="amount")
    return left if asked is None else asked


def _build(context: Context, charge: Json, params: Json, *, amount: int, status: str) -> Json:
    type = charge["payment_method_details"]["type"]
    destination: Json = {"type": "us_bank_transfer", "us_bank_transfer": _no_reference()}
    if type == "card":
        card = {"reference_status": "pending", "reference_type": "acquirer_reference_number"}
        destination = {"type": "card", "card": {**card, "type": "refund"}}
    refund: Json = {
        "id": ids.new("re" if type == "card" else "pyr"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": context.now,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": destination,
        "metadata": merged({}, params.get("metadata")),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if status == "failed" else status,
        "transfer_reversal": None,
    }
    if refund["status"] == "pending":
        refund["pending_reason"] = "processing"
    return refund


def _no_reference() -> Json:
    return {"reference": None, "reference_status": None}


def _book(context: Context, refund: Json, charge: Json) -> None:
    booked = balance_transactions.record(
        context, refund, charge, what="refund", amount=-refund["amount"]
    )
    refund["balance_transaction"] = booked["id"]


def settle(context: Context, refund: Json, *, outcome: str, reason: str = "declined") -> Json:
    """Let a refund that waits succeed or fail; one that had succeeded can fail, too."""
    if outcome == "failed" and refund["status"] in ("pending", "requires_action", "succeeded"):
        _fail(context, refund, reason)
    elif outcome == "succeeded" and refund["status"] in ("pending", "requires_action"):
        _succeed(context, refund)
    else:
        raise StripeError(f"A refund that is {refund['status']} cannot become {outcome}.")
    return context.need("refund", refund["id"])


def _succeed(context: Context, refund: Json) -> None:
    before = copied(refund)
    if refund["balance_transaction"] is None:
        _book(context, refund, context.need("charge", refund["charge"]))
    refund["status"] = "succeeded"
    refund.pop("pending_reason", None)
    _tell_update(context, refund, before)


def _fail(context: Context, refund: Json, reason: str) -> None:
    before = copied(refund)
    charge = _give_back(context, refund)
    if refund["balance_transaction"] is not None:
        booked = balance_transactions.record(
            context, refund, charge, what="refund_failure", amount=refund["amount"]
        )
        refund["failure_balance_transaction"] = booked["id"]
    refund["status"] = "failed"
    refund["failure_reason"] = reason
    refund.pop("pending_reason", None)
    _tell_update(context, refund, before)
    events.emit(context, "refund.failed", refund)


def overtake(context: Context, charge: str, *, inquiry: str = "") -> None:
    """A chargeback makes the charge's refunds fail that wait, or were made since its inquiry."""
    of_charge = "json_extract(data, '$.charge') = ?"
    status = "json_extract(data, '$.status')"
    opened = "(SELECT dispute.seq FROM objects AS dispute WHERE kind = 'dispute' AND id = ?)"
    due = f"{status} = 'succeeded' AND seq > {opened}"
    waiting = f"{status} IN ('pending', 'requires_action')"
    found = context.tx.find("refund", f"{of_charge} AND ({waiting} OR {due})", (charge, inquiry))
    for refund in found:
        _fail(context, refund, "charge_for_pending_refund_disputed")


def _give_back(context: Context, refund: Json) -> Json:
    """The charge no longer counts as refunded by this much."""
    charge = context.need("charge", refund["charge"])
    charge["amount_refunded"] -= refund["amount"]
    charge["refunded"] = False
    context.tx.save(charge)
    return charge


def _tell_update(context: Context, refund: Json, before: Json) -> None:
    context.tx.save(refund)
    previous = events.changes(before, refund)
    events.emit(context, "refund.updated", refund, previous)
    events.emit(context, "charge.refund.updated", refund, previous)


def update(context: Context, params: Json, id: str) -> Json:
    """Change the metadata."""
    refund = context.need("refund", id)
    before = copied(refund)
    refund["metadata"] = merged(refund["metadata"], params.get("metadata"))
    if refund != before:
        _tell_update(context, refund, before)
    return refund


def cancel(context: Context, params: Json, id: str) -> Json:
    """Call off a refund that still waits for its recipient."""
    refund = context.need("refund", id)
    if refund["status"] != "requires_action":
        message = f"Refund {id} has a status of {refund['status']}, so it cannot be canceled."
        raise StripeError(message)
    before = copied(refund)
    _give_back(context, refund)
    refund["status"] = "canceled"
    _tell_update(context, refund, before)
    return refund


EXPANDABLE["refund"] = {
    "balance_transaction": ref("balance_transaction"),
    "charge": ref("charge"),
    "customer": ref("customer"),
    "failure_balance_transaction": ref("balance_transaction"),
    "payment_intent": ref("payment_intent"),
    "payment_method": ref("payment_method"),
    "source_transfer_reversal": lambda context, refund, value: value,
    "transfer_reversal": lambda context, refund, value: value,
}

CREATE = {
    **EXPAND,
    **not_here("currency customer instructions_email origin"),
    **not_here("refund_application_fee reverse_transfer"),
    "amount": integer(1),
    "charge": text(),
    "metadata": metadata,
    "payment_intent": text(),
    "reason": text(one_of=REASONS),
}


def of_charge(context: Context, params: Json, id: str) -> Json:
    """The refunds of one charge."""
    context.need("charge", id)
    filters = lists.Filter()
    filters.field("charge", id)
    return lists.page(context, "refund", params, f"/v1/charges/{id}/refunds", filters=filters)


ROUTES = [
    Route("POST", "/v1/refunds", create, CREATE),
    Route(
        "GET",
        "/v1/refunds",
        lists.lister("refund", "/v1/refunds", "charge", "payment_intent"),
        {**PAGING, "charge": text(), "payment_intent": text()},
    ),
    Route("GET", "/v1/refunds/:id", lists.retriever("refund")),
    Route("POST", "/v1/refunds/:id", update, {**EXPAND, "metadata": metadata}),
    Route("POST", "/v1/refunds/:id/cancel", cancel),
    Route("GET", "/v1/charges/:id/refunds", of_charge, PAGING),
]
