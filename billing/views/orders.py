"""What became of one order: after paying, after not paying, and its receipt."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.contrib import messages
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.http import SignedInRequest, customer_required, paying_role_required
from billing import selectors
from billing.rails.wallet import paying
from billing.selectors import Purchase, State
from billing.views.buying import to_pay_page
from common import clock, doorbell

REFRESH_TASK = "billing.refresh_order"
# Webhooks take seconds; past this the provider is asked.
PATIENCE = timedelta(seconds=10)
ASK_EVERY_SECONDS = 15
_WAITING = frozenset({State.OPEN, State.OVERDUE})


@require_safe
@never_cache
@customer_required
def success(request: SignedInRequest, order_id: UUID) -> HttpResponse:
    """Where the provider sends people who paid: shows what is known, asks again until it is sure.

    Serves the whole page, or only the part that changes when htmx polls for it.
    """
    purchase = selectors.purchase(request.customer, order_id)
    if purchase.state == State.OPEN and purchase.rail == paying.RAIL and request.membership.may_pay:
        return redirect("billing:wallet_pay", order_id=order_id)  # nobody else will tell us more
    is_waiting = purchase.state in _WAITING
    takes_long = is_waiting and _has_waited(purchase)
    shown = f"{purchase.state}-{takes_long:d}"
    if request.htmx and request.GET.get("shown") == shown:
        # Nothing to say: the page keeps its focus, and screen readers keep silent.
        return HttpResponse(status=204)
    context = {
        "purchase": purchase,
        "order": purchase.order,
        "is_waiting": is_waiting,
        "is_unfinished": is_waiting or purchase.state == State.UNDELIVERED,
        "takes_long": takes_long,
        "shown": shown,
        "balance": selectors.balance(request.customer),
        "is_plan": purchase.is_plan,
        "subscription": selectors.subscription_of(purchase),
    }
    template = "billing/success.html"
    if request.htmx:
        template = "billing/partials/order_state.html"
    return render(request, template, context)


@require_safe
@never_cache
@customer_required
def cancelled(request: SignedInRequest, order_id: UUID) -> HttpResponse:
    """Where the provider sends people who turned back; says so only while nothing was paid."""
    purchase = selectors.purchase(request.customer, order_id)
    if purchase.state != State.OPEN:
        return redirect("billing:success", order_id=order_id)
    return render(request, "billing/cancelled.html", {"purchase": purchase})


@require_safe
@customer_required
def newest(request: SignedInRequest, page: str) -> HttpResponse:
    """The order placed last, for links that name none; the overview where there is none."""
    order_id = selectors.newest_order_id(request.customer)
    return redirect(page, order_id=order_id) if order_id else redirect("billing:dashboard")


@require_POST
@paying_role_required
def pay(request: SignedInRequest, order_id: UUID) -> HttpResponse:
    """Go (back) to the pay page of an order that waits for its payment."""
    purchase = selectors.purchase(request.customer, order_id)
    if purchase.order is None or not purchase.is_payable:
        messages.info(request, _("This order cannot be paid any more."))
        return redirect("billing:success", order_id=order_id)
    return to_pay_page(request, purchase.order)


@require_safe
@customer_required
def receipt(request: SignedInRequest, payment_id: UUID) -> HttpResponse:
    """What was paid, for what, with tax, and what went back."""
    found = selectors.receipt(request.customer, payment_id)
    context = {"receipt": found, "period": selectors.period_of(found.purchase)}
    return render(request, "billing/receipt.html", context)


def _has_waited(purchase: Purchase) -> bool:
    """Whether somebody has been waiting for a while; then a worker asks the provider."""
    now = clock.now()
    key = f"billing:waiting:{purchase.id}"
    cache.add(key, now.isoformat(), timeout=3600)
    since = datetime.fromisoformat(cache.get(key) or now.isoformat())
    if now - since < PATIENCE and purchase.state != State.OVERDUE:
        return False
    if cache.add(f"billing:asked:{purchase.id}", 1, timeout=ASK_EVERY_SECONDS):
        doorbell.ring(REFRESH_TASK, str(purchase.id))
    return True
