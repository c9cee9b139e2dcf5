"""The first page: what there is, what was spent, what happened last."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.http import SignedInRequest, customer_required
from billing import catalogue, selectors
from billing.plans import FEATURE_NAMES
from billing.views.charts import bars
from billing.views.overviews import holdings_of, overview_of

RECENT = 5


@require_safe
@customer_required
def dashboard(request: SignedInRequest) -> HttpResponse:
    """Plan, balance, holds, debt, what expires, unapplied money, the month's use, last rows."""
    customer = request.customer
    holdings = holdings_of(request)
    month = selectors.this_month(customer, holdings.wallet)
    rights = selectors.entitlements(customer)
    context = {
        "have": overview_of(request),
        "free": catalogue.current().free_plan,
        "balance": holdings.balance,
        "other_balances": holdings.others,
        "expiring": selectors.expiring_lots(holdings.wallet, limit=RECENT),
        "unapplied": selectors.unapplied(customer),
        "open_orders": selectors.open_orders(customer),
        "limits": selectors.limit_texts(rights.limits),
        "features": [FEATURE_NAMES[name] for name in FEATURE_NAMES if rights.allows(name)],
        "month": month,
        "chart": bars([(day.on, day.spent) for day in month.days]),
        "rows": selectors.statement(holdings.wallet, limit=RECENT).rows,
    }
    return render(request, "billing/dashboard.html", context)
