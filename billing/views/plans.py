"""The plans that are sold, and subscribing to one."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from accounts.http import RoleInsufficient, SignedInRequest, customer_required
from billing import selectors
from billing.errors import AlreadySubscribed
from billing.plans import Interval
from billing.services import plan_menu, rails
from billing.views.buying import to_pay_page
from billing.views.overviews import overview_of
from common.errors import BillingError, InvalidInput

MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


@require_http_methods(["GET", "HEAD", "POST"])
@customer_required
def plans(request: SignedInRequest) -> HttpResponse:
    """Plans side by side, per month or per year; a POST orders one and goes to its pay page."""
    if request.method != "POST":
        return _page(request)
    if not request.membership.may_pay:
        raise RoleInsufficient
    try:
        order = plan_menu.start(
            request.customer,
            request.POST.get("plan", ""),
            request.POST.get("interval", ""),
            rail=request.POST.get("rail", ""),
            placed_by=request.user,
        )
    except (InvalidInput, AlreadySubscribed) as refusal:
        return _page(request, refusal)
    return to_pay_page(request, order)


def _page(request: SignedInRequest, refusal: BillingError | None = None) -> HttpResponse:
    have = overview_of(request)
    sold = selectors.sold_months(rails.available())
    months = _months(request, sold)
    cards = plan_menu.cards(have, months=months)
    compared_limits, compared_features = selectors.comparison(cards)
    context = {
        "have": have,
        "compared_limits": compared_limits,
        "compared_features": compared_features,
        "cards": cards,
        "months": months,
        "switch": [one for one in MONTHS.items() if one[1] in sold] if len(sold) > 1 else [],
        "saves_percent": max(
            (one.saving_percent for card in plan_menu.cards(have) for one in card.choices),
            default=0,
        ),
        "refusal": refusal,
        "is_past_due": have.current is not None and have.current.is_failing,
    }
    status = refusal.status if refusal else 200
    return render(request, "billing/plans.html", context, status=status)


def _months(request: SignedInRequest, sold: list[int]) -> int | None:
    """For how long to show prices: as asked, else as the customer pays now, else the shortest."""
    known = {str(interval): months for interval, months in MONTHS.items() if months in sold}
    wanted = request.GET.get("interval") or request.POST.get("interval", "")
    if wanted in known:
        return known[wanted]
    current = overview_of(request).current
    if current is not None and current.subscription.interval in known:
        return known[current.subscription.interval]
    return sold[0] if sold else None
