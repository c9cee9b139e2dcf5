"""The statement: on the screen, and as a table to take away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast
from zoneinfo import ZoneInfo

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest, customer_required
from billing import selectors
from billing.selectors import StatementRow
from billing.views.forms import StatementForm
from common import clock
from common.tables import csv_lines, harmless, in_language

PAGE = 50
_COLUMNS = (
    gettext_lazy("Booked"),
    gettext_lazy("Happened"),
    gettext_lazy("Kind"),
    gettext_lazy("Description"),
    gettext_lazy("Amount"),
    gettext_lazy("Balance"),
    gettext_lazy("Unit"),
    gettext_lazy("Id"),
)


@require_safe
@customer_required
def statement(request: SignedInRequest) -> HttpResponse:
    """Every movement of credits, newest first, with the balance after it."""
    form = StatementForm(request.GET)
    page = None
    if form.is_valid():
        page = selectors.statement(
            selectors.wallet(request.customer),
            limit=PAGE,
            cursor=request.GET.get("cursor"),
            filters=form.filters(request.customer.zone),
        )
    query = request.GET.copy()
    query.pop("cursor", None)
    context = {
        "form": form,
        "page": page,
        "query": query.urlencode(),
        "is_filtered": any(form.data.get(name) for name in form.fields),
        "is_first_page": not request.GET.get("cursor"),
    }
    return render(request, "billing/statement.html", context, status=200 if page else 400)


@require_safe
@customer_required
def download(request: SignedInRequest) -> HttpResponse:
    """The same statement, whole, as CSV; sent as it is read."""
    form = StatementForm(request.GET)
    if not form.is_valid():
        return statement(request)
    zone = request.customer.zone
    rows = selectors.all_rows(selectors.wallet(request.customer), filters=form.filters(zone))
    lines = in_language(translation.get_language(), _lines(rows, zone))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"statement-{clock.now().astimezone(zone):%Y-%m-%d}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    # Not an HttpResponse by type, and served like one.
    return cast("HttpResponse", response)


def _lines(rows: Iterable[StatementRow], zone: ZoneInfo) -> Iterator[str]:
    return csv_lines(
        [str(column) for column in _COLUMNS],
        (
            [
                row.booked_at.astimezone(zone).isoformat(timespec="seconds"),
                row.occurred_at.astimezone(zone).isoformat(timespec="seconds"),
                str(row.kind.label),
                harmless(row.description),
                ("-" if row.amount.amount_minor < 0 else "") + row.amount.plain(),
                ("-" if row.balance.amount_minor < 0 else "") + row.balance.plain(),
                row.amount.asset.code,
                row.id,
            ]
            for row in rows
        ),
    )
