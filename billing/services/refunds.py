"""Refunds: asked for, sent, booked. The row comes first, the provider's call after it."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction

from accounts.models import User
from billing.errors import NotRefundable, RailUnavailable
from billing.models import AutoTopUpStop, Payment, Refund, RefundState
from billing.money import share_half_even
from billing.services import (
    auto_top_ups,
    disputes,
    invoice_drafts,
    notifiers,
    outgoing,
    products,
    rails,
    refund_booking,
    reversals,
    undelivered,
)
from billing.services.rails import RefundAnswer
from common import clock, doorbell, ids

logger = logging.getLogger(__name__)

SEND_TASK = "billing.send_refund"
_COURSE = (
    RefundState.REQUESTED,
    RefundState.SENT,
    RefundState.SUCCEEDED,
    RefundState.FAILED,
)


def unspent_minor(payment: Payment) -> int:
    """What a refund gives back by default, tax included: the share whose units are unspent."""
    if payment.order is None:
        return payment.refundable.amount_minor
    net_minor = products.type_of(payment.order).unspent_net_minor(payment.order)
    return _gross_for_net(payment, net_minor)


@transaction.atomic
def request(
    payment_id: UUID,
    *,
    reason: str,
    amount_minor: int | None = None,
    forced: bool = False,
    by: User | None = None,
) -> Refund:
    """Ask for a refund of ``amount_minor`` (tax included; None: the unspent share).

    Pins the units it will take back. More than the unspent share must be ``forced``: the spent
    units become the customer's debt. Raises NotRefundable.
    """
    payment = refund_booking.lock(payment_id)
    cancelled = undelivered.is_undelivered(payment)
    unspent = payment.refundable.amount_minor if cancelled else unspent_minor(payment)
    amount = unspent if amount_minor is None else amount_minor
    if not 0 < amount <= payment.refundable.amount_minor:
        raise NotRefundable(f"At most {payment.refundable} of this payment can be refunded.")
    if amount > unspent and not forced:
        raise NotRefundable("The credits of that share are spent already; only force refunds them.")
    if cancelled:
        undelivered.cancel(payment, amount)
    refund = _create(payment, amount, reason=reason, by=by)
    _count_in(payment, refund)
    doorbell.ring(SEND_TASK, str(refund.pk))
    return refund


def send(refund_id: UUID) -> None:
    """Send a requested refund to its provider and record the answer; safe to call twice.

    Every attempt but the first is looked up before it is sent, because an earlier one may have
    gone through. The key changes only when the provider used it up or may have forgotten it.
    """
    refund = _claim(refund_id)
    if refund is None:
        return
    rail = rails.of(refund.payment)
    try:
        answer = None
        if refund.attempts > 1:
            answer = rail.find_refund(refund)
        if answer is None:
            answer = rail.send_refund(refund)
    except RailUnavailable as error:
        _postpone(refund, error)
        return
    except Exception as error:
        # A bug or a wrong key, say: shown with the refund, and not tried again every second.
        _postpone(refund, error)
        raise
    record(refund.pk, answer)


@transaction.atomic
def record(refund_id: UUID, answer: RefundAnswer, *, even_back: bool = False) -> Refund:
    """Bring a refund to what the provider says of it now; repeating an answer changes nothing.

    Nor does an answer that was read before a later one: a refund that a provider has named goes
    from sent over succeeded to failed, and never back, unless staff decided so (``even_back``).
    """
    known = Refund.objects.only("payment_id").get(pk=refund_id)
    payment = refund_booking.lock(known.payment_id)
    refund = Refund.objects.select_for_update().get(pk=refund_id)
    is_back = _COURSE.index(answer.state) < _COURSE.index(refund.state)
    if refund.external_id and is_back and not even_back:
        return refund
    refund.external_id = answer.external_id or refund.external_id
    if answer.state == RefundState.FAILED:
        _fail(payment, refund, answer.failure)
    else:
        _reopen(payment, refund)
        if answer.state == RefundState.SUCCEEDED:
            refund_booking.book(payment, refund)
        refund.state = answer.state
    if refund.state in (RefundState.SUCCEEDED, RefundState.FAILED) and refund.closed_at is None:
        refund.closed_at = clock.now()
        notifiers.tell(f"refund_{refund.state}", refund)
    refund.save(
        update_fields=[
            "external_id",
            "state",
            "tax_minor",
            "failure",
            "booked_at",
            "bookings",
            "closed_at",
            "last_error",
        ]
    )
    if refund.state == RefundState.FAILED:
        disputes.cover(payment)
    invoice_drafts.follow(payment)
    return refund


@transaction.atomic
def record_foreign(
    payment_id: UUID, *, amount_minor: int, reason: str, answer: RefundAnswer
) -> Refund | None:
    """Take in a refund that was made at the provider's own dashboard; once per its id there.

    None for one that had failed before we heard of it: nothing moved.
    """
    payment = refund_booking.lock(payment_id)
    known = Refund.objects.filter(external_id=answer.external_id).first()
    if known is None and answer.state != RefundState.FAILED:
        known = _create(payment, amount_minor, reason=reason, by=None)
        known.external_id = answer.external_id
        known.state = RefundState.SENT
        known.next_attempt_at = None
        known.save(update_fields=["external_id", "state", "next_attempt_at"])
        if undelivered.is_undelivered(payment):
            undelivered.cancel(payment, amount_minor)
        _count_in(payment, known)
    return record(known.pk, answer) if known else None


def due_ids(limit: int = 100) -> list[UUID]:
    """Requested refunds whose next attempt is due."""
    due = Refund.objects.filter(state=RefundState.REQUESTED, next_attempt_at__lte=clock.now())
    return list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def _count_in(payment: Payment, refund: Refund) -> None:
    """Pin what the refund will take back, and count it against the payment."""
    refund_booking.pin(payment, refund)
    if payment.order is not None and "credits_minor" in payment.order.snapshot:
        # What is refunded would be bought again at once.
        auto_top_ups.stop(payment.customer_id, AutoTopUpStop.REFUNDED)
    payment.refunding_minor += refund.amount_minor
    payment.save(update_fields=["refunding_minor"])


def _create(payment: Payment, amount_minor: int, *, reason: str, by: User | None) -> Refund:
    refund_id = ids.uuid7()
    return Refund.objects.create(
        pk=refund_id,
        payment=payment,
        amount_minor=amount_minor,
        reason=reason[:200],
        requested_by=by,
        key=f"refund:{refund_id}",
        next_attempt_at=clock.now(),
    )


@transaction.atomic
def _claim(refund_id: UUID) -> Refund | None:
    refund = (
        Refund.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("payment")
        .filter(pk=refund_id, state=RefundState.REQUESTED, next_attempt_at__lte=clock.now())
        .first()
    )
    if refund is None:
        return None
    refund.save(update_fields=outgoing.lease(refund))
    return refund


def _postpone(refund: Refund, error: Exception) -> None:
    if outgoing.needs_new_key(refund, error):
        refund.spent_keys += 1
    refund.save(update_fields=[*outgoing.postpone(refund, error), "spent_keys"])
    logger.warning("refund postponed", extra={"refund_id": str(refund.pk), "error": str(error)})


def _fail(payment: Payment, refund: Refund, failure: str) -> None:
    if refund.state == RefundState.FAILED:
        return
    if refund.booked_at is not None:
        refund_booking.unbook(payment, refund)
    else:
        refund_booking.unpin(payment, refund)
    payment.refunding_minor -= refund.amount_minor
    payment.save(update_fields=["refunding_minor"])
    undelivered.resume(payment)
    refund.state = RefundState.FAILED
    refund.failure = failure[:200]
    refund.closed_at = None


def _reopen(payment: Payment, refund: Refund) -> None:
    """A refund we had given up and that the provider did make after all counts again."""
    if refund.state != RefundState.FAILED:
        return
    if undelivered.is_undelivered(payment):
        undelivered.cancel(payment, refund.amount_minor)
    refund_booking.fix_tax(payment, refund)
    payment.refunding_minor += refund.amount_minor
    payment.save(update_fields=["refunding_minor"])
    refund.failure = ""
    refund.closed_at = None


def _gross_for_net(payment: Payment, net_minor: int) -> int:
    """The largest refund whose net part does not exceed ``net_minor``."""
    if net_minor <= 0:
        return 0
    asked_tax = reversals.asked_tax_minor(payment)

    def net_of(gross: int) -> int:
        return gross - reversals.next_tax_minor(payment, gross, asked_tax)

    gross = share_half_even(net_minor, payment.amount_minor, payment.net_minor)
    gross = min(gross, payment.refundable.amount_minor)
    while gross > 0 and net_of(gross) > net_minor:
        gross -= 1
    while gross < payment.refundable.amount_minor and net_of(gross + 1) <= net_minor:
        gross += 1
    return gross
