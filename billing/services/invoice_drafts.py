"""Drafts of our documents: an invoice per payment, and what must correct it.

A credit note stands for what went back, as a reversal for what did not after all. Whoever
changes what went back of a payment calls ``follow`` under its lock, so that drafts and issued
documents together always say what was kept of it; numbers come later, see services/invoices.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from billing.models import (
    Dispute,
    DisputeState,
    Invoice,
    InvoiceKind,
    Order,
    Payment,
    Refund,
    RefundState,
)
from billing.money import CREDIT
from billing.titles import product_of
from common import clock, doorbell, ids

ISSUE_TASK = "billing.issue_invoices"


class Gone(NamedTuple):
    """What went back for one cause, tax included, and the tax in it."""

    amount_minor: int
    tax_minor: int


def ring() -> None:
    """A document is due, once this is committed."""
    doorbell.ring(ISSUE_TASK)


def draft_missing(limit: int = 200, *, look_back_seconds: float | None = None) -> None:
    """Write the drafts that are missing for payments since then; None: for all there are.

    Not for what was paid from credits: those were invoiced when they were bought. The look at all
    payments also finds what went back without a document, although ``follow`` leaves nothing.
    """
    paid = Payment.objects.filter(invoice=None, order__isnull=False, customer__isnull=False)
    paid = paid.exclude(asset=CREDIT.code)
    if look_back_seconds is not None:
        paid = paid.filter(pk__gte=ids.floor(look_back_seconds))
    for payment_id in paid.order_by("pk").values_list("pk", flat=True)[:limit]:
        _draft(payment_id)
    if look_back_seconds is None:
        for payment_id in unfollowed_ids(limit):
            _draft(payment_id)


def unfollowed_ids(limit: int) -> set[UUID]:
    """Invoiced payments whose documents say otherwise than their refunds and disputes."""
    refunds = _told_otherwise(
        Refund.objects.all(), "refund", When(state=RefundState.SUCCEEDED, then=F("amount_minor"))
    )
    disputes = _told_otherwise(
        Dispute.objects.all(),
        "dispute",
        When(state=DisputeState.LOST, is_frozen=True, then=F("frozen_minor")),
    )
    return {*refunds[:limit], *disputes[:limit]}


@transaction.atomic
def _draft(payment_id: UUID) -> None:
    """The invoice of a payment, once, and what corrects it already."""
    payment = lock(payment_id)
    order = payment.order
    if order is not None:
        _write_invoice(payment, order)
        follow(payment)


def lock(payment_id: UUID) -> Payment:
    """The payment, locked until the transaction ends: nothing of it goes back meanwhile."""
    locked = Payment.objects.select_for_update(of=("self",), no_key=True)
    return locked.select_related("order").get(pk=payment_id)


def follow(payment: Payment) -> None:
    """Bring the documents of a locked payment to what of it has gone back by now.

    What is issued stays and is corrected by a further document; a draft that says what is no
    longer true is thrown away. Without an invoice, its draft sees to it. Repeating it changes
    nothing.
    """
    invoice = (
        Invoice.objects.filter(payment=payment).select_related("order__period", "customer").first()
    )
    if invoice is None:
        return
    written = Invoice.objects.filter(Q(refund__payment=payment) | Q(dispute__payment=payment))
    known = list(written.order_by("pk"))
    for refund in payment.refunds.order_by("pk"):
        _follow(invoice, [one for one in known if one.refund_id == refund.pk], refund)
    for dispute in payment.disputes.order_by("pk"):
        _follow(invoice, [one for one in known if one.dispute_id == dispute.pk], dispute)


def _follow(invoice: Invoice, known: Iterable[Invoice], cause: Refund | Dispute) -> None:
    """The same for one refund or dispute: of its credit notes only the last may stand."""
    notes = {one.round: one for one in known if one.kind == InvoiceKind.CREDIT_NOTE}
    reversals = {one.round: one for one in known if one.kind == InvoiceKind.REVERSAL}
    last = notes[max(notes)] if notes else None
    reversal = reversals.get(last.round) if last else None
    gone = _gone(cause)
    if last is not None and gone == (last.total_minor, last.tax_minor):
        if reversal is None:
            return
        if reversal.number is None:
            reversal.delete()
            return
    next_round = max(notes, default=0) + 1
    if last is not None and last.number is None:
        next_round = last.round
        last.delete()
    elif last is not None and reversal is None:
        _write_reversal(last)
        ring()
    if gone is not None:
        _write_credit_note(invoice, gone, next_round, cause)
        ring()


def _gone(cause: Refund | Dispute) -> Gone | None:
    """What went back for a refund or dispute, as things stand; None: nothing."""
    if isinstance(cause, Refund):
        has_gone = cause.state == RefundState.SUCCEEDED
        return Gone(cause.amount_minor, cause.tax_minor) if has_gone else None
    has_gone = cause.state == DisputeState.LOST and cause.is_frozen and cause.frozen_minor > 0
    return Gone(cause.frozen_minor, cause.frozen_tax_minor) if has_gone else None


def _told_otherwise(causes: QuerySet[Any], name: str, gone: When) -> QuerySet[Any]:
    """Ids of the invoiced payments of causes whose documents do not add up to what is gone."""
    amount = F("subtotal_minor") + F("tax_minor")
    signed = Case(When(kind=InvoiceKind.CREDIT_NOTE, then=amount), default=-amount)
    told = Invoice.objects.filter(**{name: OuterRef("pk")}).order_by().values(name)
    told = told.annotate(told=Sum(signed)).values("told")
    causes = causes.filter(payment__invoice__isnull=False).annotate(
        told_minor=Coalesce(Subquery(told), Value(0)), gone_minor=Case(gone, default=Value(0))
    )
    return causes.exclude(told_minor=F("gone_minor")).values_list("payment_id", flat=True)


def _write_invoice(payment: Payment, order: Order) -> None:
    Invoice.objects.get_or_create(
        payment=payment,
        defaults={
            "kind": InvoiceKind.INVOICE,
            "customer_id": order.customer_id,
            "order": order,
            "asset": payment.asset,
            "subtotal_minor": order.subtotal_minor,
            "discount_minor": order.discount_minor,
            "tax_minor": payment.tax_minor,
            "lines": [line(order, order.subtotal_minor)],
            "supplied_at": payment.occurred_at,
        },
    )


def _write_credit_note(invoice: Invoice, gone: Gone, number: int, cause: Refund | Dispute) -> None:
    net_minor = gone.amount_minor - gone.tax_minor
    Invoice.objects.create(
        refund=cause if isinstance(cause, Refund) else None,
        dispute=cause if isinstance(cause, Dispute) else None,
        round=number,
        kind=InvoiceKind.CREDIT_NOTE,
        customer_id=invoice.customer_id,
        order=invoice.order,
        corrects=invoice,
        asset=invoice.asset,
        subtotal_minor=net_minor,
        tax_minor=gone.tax_minor,
        lines=[line(invoice.order, net_minor)],
        supplied_at=cause.closed_at or clock.now(),
    )


def _write_reversal(note: Invoice) -> None:
    """The same as the credit note, the other way round."""
    Invoice.objects.create(
        refund_id=note.refund_id,
        dispute_id=note.dispute_id,
        round=note.round,
        kind=InvoiceKind.REVERSAL,
        customer_id=note.customer_id,
        order_id=note.order_id,
        corrects=note,
        asset=note.asset,
        subtotal_minor=note.subtotal_minor,
        tax_minor=note.tax_minor,
        lines=note.lines,
        supplied_at=clock.now(),
    )


def line(order: Order, amount_minor: int) -> dict[str, Any]:
    """What an order is for, and for which time if it is for time."""
    written: dict[str, Any] = {
        "name": order.product_name,
        "product": product_of(order.product_kind, order.snapshot),
        "amount_minor": amount_minor,
    }
    period = getattr(order, "period", None)
    if period is not None:
        written["from"] = period.starts_at.isoformat()
        written["until"] = period.billed_until_at.isoformat()
    return written
