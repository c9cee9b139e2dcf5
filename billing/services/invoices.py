"""Our own invoices: one for each payment, a credit note for what of it went back.

Drafts are written whenever; the number comes last, in a short transaction of its own that locks
the series. So no sale waits for a number, and one that is rolled back takes none.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.models import Customer
from billing.models import (
    Dispute,
    DisputeState,
    Invoice,
    InvoiceKind,
    InvoiceSeries,
    Order,
    Payment,
    Refund,
    RefundState,
)
from billing.money import CREDIT
from common import clock, doorbell, ids

logger = logging.getLogger(__name__)

ISSUE_TASK = "billing.issue_invoices"
LOOK_BACK_SECONDS = 3 * 86_400.0
PREFIXES = {InvoiceKind.INVOICE: "INV", InvoiceKind.CREDIT_NOTE: "CN"}


def ring() -> None:
    """Something was paid or given back: its document is due, once this is committed."""
    doorbell.ring(ISSUE_TASK)


def issue_due(limit: int = 200, *, look_back_seconds: float | None = LOOK_BACK_SECONDS) -> int:
    """Draft what is missing and number what is drafted, oldest first; returns how many.

    Looks at payments of the last days; None looks at all there are.
    """
    draft_missing(limit, look_back_seconds=look_back_seconds)
    drafts = Invoice.objects.filter(number=None).order_by("pk").values_list("pk", flat=True)
    return sum(_try_to_issue(pk) for pk in list(drafts[:limit]))


def _try_to_issue(invoice_id: UUID) -> bool:
    """One that cannot be numbered is logged and does not hold up the others."""
    try:
        return issue(invoice_id)
    except Exception:
        logger.exception("invoice not issued", extra={"invoice": str(invoice_id)})
        return False


def draft_missing(limit: int = 200, *, look_back_seconds: float | None = None) -> None:
    """Write a draft for every payment, refund and lost dispute that has no document yet.

    Not for what was paid from credits: those were invoiced when they were bought.
    """
    paid = Payment.objects.filter(invoice=None, order__isnull=False, customer__isnull=False)
    if look_back_seconds is not None:
        paid = paid.filter(pk__gte=ids.floor(look_back_seconds))
    paid = paid.exclude(asset=CREDIT.code).select_related("order__period", "order__customer")
    for payment in paid.order_by("pk")[:limit]:
        if payment.order is not None:  # as asked for above
            _draft_invoice(payment, payment.order)
    refunds = Refund.objects.filter(state=RefundState.SUCCEEDED, credit_note=None)
    for refund in _of_invoiced(refunds)[:limit]:
        _draft_credit_note(refund.payment, refund.amount_minor, refund.tax_minor, refund=refund)
    lost = Dispute.objects.filter(
        state=DisputeState.LOST, credit_note=None, is_frozen=True, frozen_minor__gt=0
    )
    for dispute in _of_invoiced(lost)[:limit]:
        _draft_credit_note(
            dispute.payment, dispute.frozen_minor, dispute.frozen_tax_minor, dispute=dispute
        )


@transaction.atomic
def issue(invoice_id: UUID) -> bool:
    """Give a draft the next number of its series, once; False when it has one.

    A note of what did not go back after all is thrown away, and drafted anew if it does. Raises
    nothing for its own part: what rolls this back gives the number back, too.
    """
    invoice = (
        Invoice.objects.select_for_update(of=("self",))
        .select_related("customer", "refund", "dispute")
        .filter(pk=invoice_id, number=None)
        .first()
    )
    if invoice is None:
        return False
    if not _still_true(invoice):
        invoice.delete()
        return False
    now = clock.now()
    invoice.series = f"{PREFIXES[InvoiceKind(invoice.kind)]}-{now:%Y}"
    InvoiceSeries.objects.get_or_create(name=invoice.series)
    series = InvoiceSeries.objects.select_for_update().get(pk=invoice.series)
    series.last_number += 1
    series.save(update_fields=["last_number"])
    invoice.number = series.last_number
    invoice.issued_at = now
    invoice.seller = seller()
    invoice.buyer = buyer(invoice.customer)
    invoice.save(update_fields=["series", "number", "issued_at", "seller", "buyer"])
    return True


def seller() -> dict[str, str]:
    """Who sells here, as the environment says."""
    details: dict[str, str] = settings.SELLER
    return details


def buyer(customer: Customer) -> dict[str, str]:
    """Who buys, as the customer's settings say today."""
    return {
        "name": customer.name or customer.email,
        "email": customer.email,
        "address": customer.address,
        "country": customer.country,
        "tax_id": customer.tax_id,
        "time_zone": customer.time_zone,
    }


def _still_true(draft: Invoice) -> bool:
    """Whether what a credit note says went back has not come again since it was drafted."""
    if draft.refund is not None:
        return draft.refund.state == RefundState.SUCCEEDED
    return draft.dispute is None or draft.dispute.state == DisputeState.LOST


def _of_invoiced(rows: Any) -> Any:
    """Only what belongs to a payment whose invoice has its number."""
    invoiced = rows.filter(payment__invoice__number__isnull=False)
    return invoiced.select_related("payment__invoice__order__period").order_by("pk")


def _draft_invoice(payment: Payment, order: Order) -> None:
    Invoice.objects.get_or_create(
        payment=payment,
        defaults={
            "kind": InvoiceKind.INVOICE,
            "customer": order.customer,
            "order": order,
            "asset": payment.asset,
            "subtotal_minor": order.subtotal_minor,
            "discount_minor": order.discount_minor,
            "tax_minor": payment.tax_minor,
            "lines": [_line(order, order.subtotal_minor)],
            "supplied_at": payment.occurred_at,
        },
    )


def _draft_credit_note(
    payment: Payment, amount_minor: int, tax_minor: int, **cause: Refund | Dispute
) -> None:
    """What went back of a payment, net and tax, with the invoice it corrects."""
    invoice = payment.invoice
    Invoice.objects.get_or_create(
        **cause,
        defaults={
            "kind": InvoiceKind.CREDIT_NOTE,
            "customer_id": invoice.customer_id,
            "order": invoice.order,
            "corrects": invoice,
            "asset": payment.asset,
            "subtotal_minor": amount_minor - tax_minor,
            "tax_minor": tax_minor,
            "lines": [_line(invoice.order, amount_minor - tax_minor)],
            "supplied_at": _moment(cause),
        },
    )


def _moment(cause: dict[str, Refund | Dispute]) -> datetime:
    (thing,) = cause.values()
    return thing.closed_at or clock.now()


def _line(order: Order, amount_minor: int) -> dict[str, Any]:
    """What an order is for, and for which time if it is for time."""
    line: dict[str, Any] = {"name": order.product_name, "amount_minor": amount_minor}
    period = getattr(order, "period", None)
    if period is not None:
        line["from"] = period.starts_at.isoformat()
        line["until"] = period.billed_until_at.isoformat()
    return line
