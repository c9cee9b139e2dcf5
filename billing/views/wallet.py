"""Paying an order from credits: what it costs, what will be left, and one button."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http import SignedInRequest, paying_role_required
from billing.errors import LimitReached
from billing.rails.wallet import paying
from billing.views import upgrades
from billing.views.buying import SeeOther
from common.errors import BillingError


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@paying_role_required
def wallet_pay(request: SignedInRequest, order_id: UUID) -> HttpResponse:
    """The pay page of an order in credits; a POST pays it, however often it is sent, once."""
    refusal: BillingError | None = None
    if request.method == "POST":
        try:
            paying.pay(request.customer, order_id)
            return SeeOther(reverse("billing:success", args=[order_id]))
        except BillingError as error:
            refusal = error
    bill = paying.bill(request.customer, order_id)
    if not bill.order.is_open:
        return SeeOther(reverse("billing:success", args=[order_id]))
    shown = refusal or bill.refusal
    context: dict[str, object] = {
        "bill": bill,
        "order": bill.order,
        "refusal": shown,
        "may_come_right": shown is not None and shown.status != 409,
    }
    if isinstance(shown, LimitReached):
        context |= upgrades.context_of(request, upgrades.options_after(request, shown))
    status = refusal.status if refusal else 200
    return render(request, "billing/wallet_pay.html", context, status=status)
