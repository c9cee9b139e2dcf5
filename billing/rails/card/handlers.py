"""What each Stripe event means: a line per kind. Handlers ask Stripe for today's state."""

from __future__ import annotations

from billing.models import InboundEvent, Refund
from billing.rails.card import (
    checkout,
    disputes,
    fees,
    objects,
    off_session,
    refunds,
    subscriptions,
)
from billing.services.rails import Handler


def on_session(event: InboundEvent) -> None:
    """A Checkout Session completed, was paid later, or expired."""
    checkout.settle(objects.checkout_session(event.object_id))


def on_session_failed(event: InboundEvent) -> None:
    """A delayed payment did not arrive."""
    checkout.fail(objects.checkout_session(event.object_id))


def on_payment(event: InboundEvent) -> None:
    """A payment succeeded: settle what it was for if that event is late or lost."""
    checkout.settle_payment(event.object_id)


def on_payment_failed(event: InboundEvent) -> None:
    """A charge of a saved card was declined; pages tell those of theirs by themselves."""
    off_session.settle_own(event.object_id)


def on_invoice(event: InboundEvent) -> None:
    """An invoice was made, paid, not paid or voided: so is its subscription."""
    subscriptions.sync_invoice(objects.invoice(event.object_id))


def on_subscription(event: InboundEvent) -> None:
    """A subscription began, changed, or ended."""
    subscriptions.sync(event.object_id)


def on_schedule(event: InboundEvent) -> None:
    """What a subscription is scheduled to become changed."""
    schedule = objects.schedule(event.object_id)
    subscription_id = objects.id_of(schedule["subscription"] or schedule["released_subscription"])
    if subscription_id is not None:
        subscriptions.sync(subscription_id)


def on_charge(event: InboundEvent) -> None:
    """A charge changed: its balance transaction may be there now, and with it the fee."""
    charge = objects.charge(event.object_id)
    intent_id = objects.id_of(charge["payment_intent"])
    if intent_id is None or charge["balance_transaction"] is None:
        return
    # The session's own handler may be settling it at this moment, from a state without the fee.
    payment = checkout.payment_of(intent_id)
    if payment is not None:
        fees.book(payment.pk, charge)


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
    "payment_intent.payment_failed": on_payment_failed,
    "invoice.paid": on_invoice,
    "invoice.payment_succeeded": on_invoice,
    "invoice.payment_failed": on_invoice,
    "invoice.finalized": on_invoice,
    "invoice.voided": on_invoice,
    "invoice.marked_uncollectible": on_invoice,
    "customer.subscription.created": on_subscription,
    "customer.subscription.updated": on_subscription,
    "customer.subscription.deleted": on_subscription,
    "customer.subscription.paused": on_subscription,
    "customer.subscription.resumed": on_subscription,
    "customer.subscription.trial_will_end": on_subscription,
    "subscription_schedule.created": on_schedule,
    "subscription_schedule.updated": on_schedule,
    "subscription_schedule.released": on_schedule,
    "subscription_schedule.canceled": on_schedule,
    "subscription_schedule.completed": on_schedule,
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
