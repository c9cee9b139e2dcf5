"""Disputes at Stripe: what it took, what it gave back, and how the claim stands."""

from __future__ import annotations

import logging

from billing.models import DisputeState
from billing.rails.card import checkout, objects
from billing.services import disputes
from billing.services.disputes import Claim

logger = logging.getLogger(__name__)

# https://docs.stripe.com/api/disputes/object#dispute_object-status; an inquiry moves no money.
STATES = {
    "warning_needs_response": DisputeState.INQUIRY,
    "warning_under_review": DisputeState.INQUIRY,
    "warning_closed": DisputeState.WON,
    "needs_response": DisputeState.OPEN,
    "under_review": DisputeState.OPEN,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}


def sync(found: objects.Object) -> None:
    """Bring our row to what Stripe says of a dispute now; one of another's charge is left alone."""
    intent_id = objects.id_of(found.get("payment_intent"))
    payment = checkout.payment_of(intent_id) if intent_id else None
    if payment is None:
        logger.info("dispute of a payment that is not ours", extra={"dispute": found["id"]})
        return
    disputes.record(payment.pk, claim(found))


def claim(found: objects.Object) -> Claim:
    """What a dispute of Stripe's says, in our terms."""
    moves = [one for one in found.get("balance_transactions") or [] if isinstance(one, dict)]
    taken = -sum(one["amount"] for one in moves if one["amount"] < 0)
    given = sum(one["amount"] for one in moves if one["amount"] > 0)
    due = (found.get("evidence_details") or {}).get("due_by")
    return Claim(
        external_id=found["id"],
        state=_state(found["status"], taken - given),
        provider_status=found["status"],
        reason=found.get("reason") or "",
        amount_minor=found["amount"],
        withdrawn_minor=taken,
        reinstated_minor=given,
        fee_minor=sum(one["fee"] for one in moves),
        opened_at=objects.moment(found["created"]),
        evidence_due_at=objects.moment(due) if due else None,
    )


def _state(status: str, kept_minor: int) -> DisputeState:
    """Our word for Stripe's; one it settled some other way is lost if it kept our money."""
    other = DisputeState.LOST if kept_minor > 0 else DisputeState.WON
    return STATES.get(status, other)
