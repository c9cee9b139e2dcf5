"""The first page: what there is, what was spent, what happened last."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest, customer_required
from billing import catalogue, selectors
from billing.views.charts import bars
from billing.views.overviews import overview_of

RECENT = 5


@require_safe
@customer_required
def dashboard(request: SignedInRequest) -> HttpResponse:
    """Plan, balance, holds, debt, what expires, unapplied money, the month's use, last rows."""
    customer = request.customer
    wallet = selectors.wallet(customer)
    month = selectors.this_month(customer, wallet)
    lots = selectors.lots(customer)
    context = {
        "have": overview_of(request),
        "free": catalogue.current().free_plan,
        "balance": selectors.balance(customer),
        "other_balances": selectors.other_balances(customer),
        "expiring": [lot for lot in lots if lot.expires_at is not None][:RECENT],
        "unapplied": selectors.unapplied(customer),
        "open_orders": selectors.open_orders(customer),
        "month": month,
        "chart": bars([(day.on, day.spent) for day in month.days]),
        "rows": selectors.statement(wallet, limit=RECENT).rows,
    }
    return render(request, "billing/dashboard.html", context)
