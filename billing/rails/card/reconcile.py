"""Reading Stripe's own books: what a lost webhook should have done is done, and named."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from billing.errors import RailUnavailable
from billing.models import Dispute, Order, OrderStatus, Payment, Refund, RefundState
from billing.rails.card import checkout, disputes, objects, refunds
from billing.services.disputes import Claim
from billing.services.rails import Finding
from common import clock

# Issuers decide within about 75 days; Stripe lists a dispute by when it was opened.
DISPUTES_LAST = timedelta(days=120)

logger = logging.getLogger(__name__)


def run(since: datetime) -> list[Finding]:
    """Settle sessions, refunds and disputes that never reached us, and close overdue orders.

    What cannot be repaired is named, and does not keep the rest from being repaired. Raises
    RailUnavailable.
    """
    return [
        *_sessions(since),
        *_refunds(since),
        *_disputes(since),
        *_fees(since),
        *_overdue(),
    ]


def _repaired(kind: str, subject: str, detail: str, act: Callable[[], object]) -> Finding:
    try:
        act()
    except RailUnavailable:
        raise
    except Exception as error:
        logger.exception("not repaired", extra={"kind": kind, "subject": subject})
        return Finding(kind, subject, f"{detail}; {type(error).__name__}: {error}", repaired=False)
    return Finding(kind, subject, detail, repaired=True)


def _sessions(since: datetime) -> list[Finding]:
    # Oldest first, here and below: things are done in the order they should have been.
    sessions = reversed(list(objects.sessions_since(since)))
    return [
        _repaired("payment_missing", session["id"], session["payment_status"], _settling(session))
        for session in sessions
        if session["mode"] == "payment" and _is_missing(session)
    ]


def _settling(session: objects.Object) -> Callable[[], None]:
    return lambda: checkout.settle(objects.checkout_session(session["id"]))


def _is_missing(session: objects.Object) -> bool:
    if checkout.is_free(session):
        named = checkout.order_id(session)
        still_open = Order.objects.filter(status=OrderStatus.OPEN)
        return named is not None and still_open.filter(pk=named).exists()
    return session["payment_status"] == "paid" and not _is_known(session)


def _is_known(found: objects.Object) -> bool:
    """Whether we have the payment that a session made or a refund is of."""
    intent_id = objects.id_of(found["payment_intent"])
    return Payment.objects.filter(rail="card", external_id=intent_id).exists()


def _refunds(since: datetime) -> list[Finding]:
    found: list[Finding] = []
    for refund in reversed(list(objects.refunds_since(since))):
        state = refunds.STATES[refund["status"]]
        known = Refund.objects.filter(external_id=refund["id"]).first()
        # One that failed before we heard of it has moved nothing.
        if state == (known.state if known else RefundState.FAILED):
            continue
        kind = "refund_missing" if known is None else "refund_state_differs"
        finding = _repaired(kind, refund["id"], refund["status"], _syncing(refund))
        if _is_known(refund) or not finding.repaired:
            found.append(finding)
    return found


def _syncing(refund: objects.Object) -> Callable[[], object]:
    return lambda: refunds.sync(refund)


def _disputes(since: datetime) -> list[Finding]:
    """Disputes of the last weeks: they are decided long after they were opened."""
    found: list[Finding] = []
    for dispute in reversed(list(objects.disputes_since(since - DISPUTES_LAST))):
        known = Dispute.objects.filter(rail="card", external_id=dispute["id"]).first()
        kind = _dispute_differs(known, disputes.claim(dispute))
        if kind is None:
            continue
        finding = _repaired(kind, dispute["id"], dispute["status"], _taking_in(dispute))
        if _is_known(dispute) or not finding.repaired:
            found.append(finding)
    return found


def _dispute_differs(known: Dispute | None, claim: Claim) -> str | None:
    """How our row differs from what Stripe says; money may move before or after the status."""
    if known is None:
        return "dispute_missing"
    if known.provider_status != claim.provider_status:
        return "dispute_state_differs"
    ours = (known.withdrawn_minor, known.reinstated_minor, known.fee_minor)
    theirs = (claim.withdrawn_minor, claim.reinstated_minor, claim.fee_minor)
    return None if ours == theirs else "dispute_money_differs"


def _taking_in(dispute: objects.Object) -> Callable[[], None]:
    return lambda: disputes.sync(objects.dispute(dispute["id"]))


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
    for order in overdue.order_by("expires_at")[:500]:
        finding = _repaired("order_overdue", str(order.pk), "", _refreshing(order))
        order.refresh_from_db()
        if not order.is_open or not finding.repaired:
            found.append(replace(finding, detail=finding.detail or order.status))
    return found


def _refreshing(order: Order) -> Callable[[], None]:
    return lambda: checkout.settle(objects.checkout_session(order.external_id))
