"""What each Stripe event means: a line per kind. Handlers ask Stripe for today's state."""

from __future__ import annotations

from billing.models import InboundEvent, Refund
from billing.rails.card import checkout, disputes, objects, refunds
from billing.services.rails import Handler


def on_session(event: InboundEvent) -> None:
    """A Checkout Session completed, was paid later, or expired."""
    checkout.settle(objects.checkout_session(event.object_id))


def on_session_failed(event: InboundEvent) -> None:
    """A delayed payment did not arrive."""
    checkout.fail(objects.checkout_session(event.object_id))


def on_payment(event: InboundEvent) -> None:
    """A payment succeeded: settle its session if that event is late or lost."""
    session = objects.session_of_payment(event.object_id)
    if session is not None:
        checkout.settle(session)


def on_charge(event: InboundEvent) -> None:
    """A charge changed: its balance transaction may be there now, and with it the fee."""
    charge = objects.charge(event.object_id)
    intent_id = objects.id_of(charge["payment_intent"])
    if intent_id is None or charge["balance_transaction"] is None:
        return
    # The session's own handler may be settling it at this moment, from a state without the fee.
    payment = checkout.payment_of(intent_id)
    if payment is not None:
        checkout.book_fee_of(payment.pk, charge)


def on_charge_refunded(event: InboundEvent) -> None:
    """A charge was refunded, wholly or in part: look at each of its refunds."""
    charge = objects.charge(event.object_id)
    intent_id = objects.id_of(charge["payment_intent"])
    if intent_id is not None:
        refunds.sync_all(intent_id)


def on_refund(event: InboundEvent) -> None:
    """A refund was made, or its state changed; one that is new to us may need another's room."""
    refund = objects.refund(event.object_id)
    intent_id = objects.id_of(refund.get("payment_intent"))
    if intent_id is None or Refund.objects.filter(external_id=refund["id"]).exists():
        refunds.sync(refund)
    else:
        refunds.sync_all(intent_id)


def on_dispute(event: InboundEvent) -> None:
    """A dispute was opened, changed, moved money or was decided."""
    disputes.sync(objects.dispute(event.object_id))


HANDLERS: dict[str, Handler] = {
    "checkout.session.completed": on_session,
    "checkout.session.async_payment_succeeded": on_session,
    "checkout.session.async_payment_failed": on_session_failed,
    "checkout.session.expired": on_session,
    "payment_intent.succeeded": on_payment,
    "charge.succeeded": on_charge,
    "charge.updated": on_charge,
    "charge.refunded": on_charge_refunded,
    "refund.created": on_refund,
    "refund.updated": on_refund,
    "refund.failed": on_refund,
    "charge.refund.updated": on_refund,
    "charge.dispute.created": on_dispute,
    "charge.dispute.updated": on_dispute,
    "charge.dispute.funds_withdrawn": on_dispute,
    "charge.dispute.funds_reinstated": on_dispute,
    "charge.dispute.closed": on_dispute,
}
