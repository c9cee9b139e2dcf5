"""Reading Stripe's own books: what a lost webhook should have done is done, and named."""

from __future__ import annotations

from datetime import datetime

from billing.models import Order, OrderStatus, Payment, Refund
from billing.rails.card import checkout, objects, refunds
from billing.services.rails import Finding
from common import clock


def run(since: datetime) -> list[Finding]:
    """Settle paid sessions and refunds that never reached us, and close overdue orders."""
    return [*_sessions(since), *_refunds(since), *_fees(since), *_overdue()]


def _sessions(since: datetime) -> list[Finding]:
    found: list[Finding] = []
    for session in objects.sessions_since(since):
        intent_id = objects.id_of(session["payment_intent"])
        if session["mode"] != "payment" or session["payment_status"] != "paid":
            continue
        if not Payment.objects.filter(rail="card", external_id=intent_id).exists():
            checkout.settle(objects.checkout_session(session["id"]))
            found.append(
                Finding(
                    "payment_missing", str(intent_id), f"session {session['id']}", repaired=True
                )
            )
    return found


def _refunds(since: datetime) -> list[Finding]:
    found: list[Finding] = []
    for refund in objects.refunds_since(since):
        known = Refund.objects.filter(external_id=refund["id"]).first()
        if known is not None and known.state == refunds.STATES[refund["status"]]:
            continue
        if refunds.sync(refund) is not None:
            kind = "refund_missing" if known is None else "refund_state_differs"
            found.append(Finding(kind, refund["id"], f"is {refund['status']}", repaired=True))
    return found


def _fees(since: datetime) -> list[Finding]:
    found: list[Finding] = []
    for payment in Payment.objects.filter(rail="card", fee_minor=None, occurred_at__gte=since):
        session = objects.session_of_payment(payment.external_id)
        if session is None:
            continue
        checkout.settle(session)
        payment.refresh_from_db()
        if payment.fee_minor is not None:
            found.append(
                Finding("fee_missing", payment.external_id, f"{payment.fee_minor}", repaired=True)
            )
    return found


def _overdue() -> list[Finding]:
    found: list[Finding] = []
    overdue = Order.objects.filter(
        rail="card", status=OrderStatus.OPEN, expires_at__lt=clock.now()
    ).exclude(external_id="")
    for order in overdue[:500]:
        checkout.settle(objects.checkout_session(order.external_id))
        order.refresh_from_db()
        if not order.is_open:
            found.append(Finding("order_overdue", str(order.pk), order.status, repaired=True))
    return found
