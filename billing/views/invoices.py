"""Invoices and credit notes: the list, each as a PDF, all as a table."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest, customer_required
from billing import selectors
from billing.models import Invoice, InvoiceKind
from billing.services import invoice_pdf
from billing.titles import line_title
from common.tables import csv_lines, harmless, in_language

PAGE = 25
_COLUMNS = (
    gettext_lazy("Number"),
    gettext_lazy("Kind"),
    gettext_lazy("Issued"),
    gettext_lazy("For"),
    gettext_lazy("Subtotal"),
    gettext_lazy("Discount"),
    gettext_lazy("Tax"),
    gettext_lazy("Total"),
    gettext_lazy("Currency"),
)


@require_safe
@customer_required
def invoices(request: SignedInRequest) -> HttpResponse:
    """Every document, newest first."""
    rows, next_cursor = selectors.invoices(
        request.customer, limit=PAGE, cursor=request.GET.get("cursor")
    )
    context = {
        "rows": rows,
        "next_cursor": next_cursor,
        "is_first_page": not request.GET.get("cursor"),
    }
    return render(request, "billing/invoices.html", context)


@require_safe
@customer_required
def invoice_file(request: SignedInRequest, invoice_id: UUID) -> HttpResponse:
    """One document as a PDF."""
    return pdf_response(selectors.invoice(request.customer, invoice_id))


@require_safe
@customer_required
def invoices_table(request: SignedInRequest) -> HttpResponse:
    """All of them as CSV in the customer's language; sent as it is read."""
    with translation.override(request.customer.language):
        columns = [str(column) for column in _COLUMNS]
        kinds = {kind.value: str(kind.label) for kind in InvoiceKind}
    rows = (_row(one, kinds) for one in selectors.all_invoices(request.customer))
    lines = in_language(request.customer.language, csv_lines(columns, rows))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="invoices.csv"'
    # Not an HttpResponse by type, and served like one.
    return cast("HttpResponse", response)


def pdf_response(invoice: Invoice) -> HttpResponse:
    """The file with its name."""
    response = HttpResponse(invoice_pdf.render(invoice), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{invoice.name}.pdf"'
    return response


def _row(one: Invoice, kinds: dict[str, str]) -> list[str]:
    issued_at = one.issued_at or one.created_at
    return [
        one.name,
        kinds[one.kind],
        issued_at.isoformat(timespec="seconds"),
        harmless(", ".join(map(line_title, one.lines))),
        one.subtotal.plain(),
        one.discount.plain(),
        one.tax.plain(),
        one.total.plain(),
        one.asset,
    ]
