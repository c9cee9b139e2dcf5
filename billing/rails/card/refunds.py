"""Refunds at Stripe: making ours, finding them again, taking in those made elsewhere."""

from __future__ import annotations

import logging

import stripe

from billing.models import Payment, Refund, RefundState
from billing.rails.card import checkout, objects
from billing.rails.card.client import reachable
from billing.services import refunds
from billing.services.rails import RefundAnswer

logger = logging.getLogger(__name__)

# https://docs.stripe.com/api/refunds/object#refund_object-status
STATES = {
    "succeeded": RefundState.SUCCEEDED,
    "pending": RefundState.SENT,
    "requires_action": RefundState.SENT,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


def send(refund: Refund) -> RefundAnswer:
    """Ask Stripe to refund, under the row's key. A refusal is a failed refund."""
    try:
        with reachable():
            made = stripe.Refund.create(
                payment_intent=refund.payment.external_id,
                amount=refund.amount_minor,
                metadata={"refund_id": str(refund.pk)},
                idempotency_key=refund.provider_key,
            )
    except stripe.InvalidRequestError as error:
        return RefundAnswer("", RefundState.FAILED, error.user_message or str(error))
    return answer(dict(made.to_dict()))


def find(refund: Refund) -> RefundAnswer | None:
    """The refund at Stripe that carries our row's id, if an earlier attempt made one."""
    for one in objects.refunds_of_payment(refund.payment.external_id):
        if (one.get("metadata") or {}).get("refund_id") == str(refund.pk):
            return answer(one)
    return None


def sync(found: objects.Object) -> Payment | None:
    """Bring our rows to what Stripe says of a refund, whoever made it; None if not our money."""
    intent_id = objects.id_of(found.get("payment_intent"))
    payment = checkout.payment_of(intent_id) if intent_id else None
    if payment is None:
        logger.info("refund of a payment that is not ours", extra={"refund": found["id"]})
        return None
    told = answer(found)
    known = Refund.objects.filter(external_id=told.external_id).first() or _ours(
        payment, (found.get("metadata") or {}).get("refund_id")
    )
    if known is not None:
        refunds.record(known.pk, told)
    else:
        refunds.record_foreign(
            payment.pk,
            amount_minor=found["amount"],
            reason=f"made at Stripe ({found.get('reason') or 'no reason given'})",
            answer=told,
        )
    return payment


def sync_all(payment_intent_id: str) -> None:
    """Bring our rows to what Stripe says of every refund of a payment.

    Oldest first: one that failed makes room for those made after it.
    """
    for one in reversed(objects.refunds_of_payment(payment_intent_id)):
        sync(one)


def _ours(payment: Payment, refund_id: str | None) -> Refund | None:
    """The row named in the metadata; anybody may write there, so it must be of that payment.

    One that Stripe has named already is another refund's: this one was made twice.
    """
    rows = payment.refunds.filter(external_id=None)
    return next((row for row in rows if str(row.pk) == refund_id), None)


def answer(found: objects.Object) -> RefundAnswer:
    """What Stripe says of a refund, in our terms."""
    return RefundAnswer(
        found["id"], STATES[found["status"]], str(found.get("failure_reason") or "")
    )
