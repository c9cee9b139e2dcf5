"""Orders and payments of the customer."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest, customer_required
from billing import selectors

PAGE = 25


@require_safe
@customer_required
def transactions(request: SignedInRequest) -> HttpResponse:
    """What was ordered and paid, newest first, and how each of it stands."""
    rows, next_cursor = selectors.purchases(
        request.customer, limit=PAGE, cursor=request.GET.get("cursor")
    )
    context = {
        "rows": rows,
        "next_cursor": next_cursor,
        "is_first_page": not request.GET.get("cursor"),
        "unapplied": selectors.unapplied(request.customer),
    }
    return render(request, "billing/transactions.html", context)
