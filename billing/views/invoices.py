"""Invoices and credit notes: the list, each as a PDF, all as a table."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest, customer_required
from billing import selectors
from billing.models import Invoice
from billing.services import invoice_pdf
from common.tables import csv_lines, harmless

PAGE = 25
_COLUMNS = ("Number", "Kind", "Issued", "For", "Subtotal", "Discount", "Tax", "Total", "Currency")


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
    """All of them as CSV; sent as it is read."""
    rows = (_row(one) for one in selectors.all_invoices(request.customer))
    response = StreamingHttpResponse(
        csv_lines(_COLUMNS, rows), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = 'attachment; filename="invoices.csv"'
    # Not an HttpResponse by type, and served like one.
    return cast("HttpResponse", response)


def pdf_response(invoice: Invoice) -> HttpResponse:
    """The file with its name."""
    response = HttpResponse(invoice_pdf.render(invoice), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{invoice.name}.pdf"'
    return response


def _row(one: Invoice) -> list[str]:
    issued_at = one.issued_at or one.created_at
    return [
        one.name,
        one.get_kind_display(),
        issued_at.isoformat(timespec="seconds"),
        harmless(", ".join(line["name"] for line in one.lines)),
        one.subtotal.plain(),
        one.discount.plain(),
        one.tax.plain(),
        one.total.plain(),
        one.asset,
    ]
