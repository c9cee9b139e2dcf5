"""Our own invoices: one for each payment, a credit note for what of it went back.

Drafts are written whenever (services/invoice_drafts.py); the number comes last, in a short
transaction of its own that locks the series. So no sale waits for a number, and one that is
rolled back takes none.
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.models import Customer
from billing.models import Invoice, InvoiceKind, InvoiceSeries
from billing.services import invoice_drafts, notifiers
from common import clock

logger = logging.getLogger(__name__)

LOOK_BACK_SECONDS = 3 * 86_400.0
PREFIXES = {
    InvoiceKind.INVOICE: "INV",
    InvoiceKind.CREDIT_NOTE: "CN",
    InvoiceKind.REVERSAL: "REV",
}


def issue_due(limit: int = 200, *, look_back_seconds: float | None = LOOK_BACK_SECONDS) -> int:
    """Draft what is missing and number what is drafted, oldest first; returns how many.

    Looks at payments of the last days; None looks at all there are.
    """
    invoice_drafts.draft_missing(limit, look_back_seconds=look_back_seconds)
    drafts = Invoice.objects.filter(number=None).order_by("pk").values_list("pk", flat=True)
    return sum(_try_to_issue(pk) for pk in list(drafts[:limit]))


def _try_to_issue(invoice_id: UUID) -> bool:
    """One that cannot be numbered is logged and does not hold up the others."""
    try:
        return issue(invoice_id)
    except Exception:
        logger.exception("invoice not issued", extra={"invoice": str(invoice_id)})
        return False


@transaction.atomic
def issue(invoice_id: UUID) -> bool:
    """Give a draft the next number of its series, once; False when it has one.

    What corrects a document waits until that has its number. A draft of what is no longer true
    is thrown away. Raises nothing for its own part: what rolls this back gives the number back,
    too.
    """
    if not _is_still_true(invoice_id):
        return False
    invoice = (
        Invoice.objects.select_for_update(of=("self",), no_key=True)
        .select_related("customer", "corrects")
        .filter(pk=invoice_id, number=None)
        .first()
    )
    if invoice is None or (invoice.corrects is not None and invoice.corrects.number is None):
        return False
    now = clock.now()
    invoice.series = f"{PREFIXES[InvoiceKind(invoice.kind)]}-{now:%Y}"
    invoice.number = _next_number(invoice.series)
    invoice.issued_at = now
    invoice.language = invoice.customer.language
    invoice.seller = seller()
    invoice.buyer = buyer(invoice.customer)
    invoice.save(update_fields=["series", "number", "issued_at", "language", "seller", "buyer"])
    notifiers.tell("invoice_issued", invoice)
    return True


def _is_still_true(invoice_id: UUID) -> bool:
    """Whether there is such a draft, once it has followed what went back of its payment."""
    found = Invoice.objects.filter(pk=invoice_id, number=None)
    causes = found.values_list("refund__payment", "dispute__payment").first()
    if causes is None:
        return False
    for payment_id in causes:
        if payment_id is not None:
            invoice_drafts.follow(invoice_drafts.lock(payment_id))
    return True


def _next_number(name: str) -> int:
    """The series stays locked until the transaction ends, so a number is never left out."""
    InvoiceSeries.objects.get_or_create(name=name)
    series = InvoiceSeries.objects.select_for_update(no_key=True).get(pk=name)
    series.last_number += 1
    series.save(update_fields=["last_number"])
    return series.last_number


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
