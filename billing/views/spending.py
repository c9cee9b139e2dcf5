"""The monthly spend cap: what is used of it, setting it, and switching it off."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http import (
    RoleInsufficient,
    SignedInRequest,
    customer_required,
    paying_role_required,
)
from billing import catalogue, selectors
from billing.money import Money
from billing.selectors import SpendCap
from billing.services import spend_caps
from billing.views.buying import SeeOther
from billing.views.charts import bars
from billing.views.spending_forms import CapForm


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@customer_required
def spending(request: SignedInRequest) -> HttpResponse:
    """This month against the cap, and the months before; a POST sets the cap."""
    if request.method != "POST":
        return _page(request, None)
    if not request.membership.may_pay:
        raise RoleInsufficient
    form = CapForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    found = spend_caps.set_cap(request.customer, form.cleaned_data["cap"], by=request.user)
    _tell(request, found)
    return SeeOther(reverse("billing:spending"))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@paying_role_required
def off(request: SignedInRequest) -> HttpResponse:
    """Asks before the cap is switched off; a POST does it."""
    found = selectors.spend_cap(request.customer)
    if found.cap is None:
        return SeeOther(reverse("billing:spending"))
    if request.method == "POST":
        spend_caps.lift(request.customer, by=request.user)
        messages.success(request, _("The spend cap is off."))
        return SeeOther(reverse("billing:spending"))
    return render(request, "billing/spending_off.html", {"spend_cap": found})


def _page(request: SignedInRequest, form: CapForm | None) -> HttpResponse:
    found = selectors.spend_cap(request.customer)
    months = selectors.spent_months(request.customer)
    sold = catalogue.current()
    zone = request.customer.zone
    context = {
        "spend_cap": found,
        "worth": sold.worth(found.cap) if found.cap is not None else None,
        "rate": sold.credits_for(Money(1_00, sold.custom_min.asset), slug="rate"),
        "form": form or CapForm(initial=_initial(found)),
        "months": [(month, _percent(month.spent, found.cap)) for month in months],
        "chart": bars([(month.starts_at.astimezone(zone).date(), month.spent) for month in months]),
        "spent": months[-1].spent,
        "auto_top_up": selectors.auto_top_up(request.customer),
    }
    status = 400 if form is not None else 200
    return render(request, "billing/spending.html", context, status=status)


def _tell(request: SignedInRequest, found: SpendCap) -> None:
    """What the cap just set means, now that it counts."""
    if found.is_reached:
        messages.warning(
            request,
            _("The spend cap is %(cap)s. That much is used already: nothing more can be spent.")
            % {"cap": found.cap},
        )
        return
    messages.success(request, _("The spend cap is %(cap)s a month.") % {"cap": found.cap})


def _initial(found: SpendCap) -> dict[str, str]:
    return {"cap": found.cap.plain()} if found.cap is not None else {}


def _percent(spent: Money, cap: Money | None) -> int | None:
    """How a month compares with today's cap, in whole percent; None without one."""
    if not cap:
        return None
    return spent.amount_minor * 100 // cap.amount_minor
