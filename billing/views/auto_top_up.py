"""Auto top-up: how it stands, switching it on and off, and the card it charges."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import (
    RoleInsufficient,
    SignedInRequest,
    customer_required,
    paying_role_required,
)
from billing import selectors
from billing.models import AutoTopUp
from billing.services import auto_top_ups
from billing.services.auto_top_ups import NotOffered
from billing.views.auto_top_up_form import AutoTopUpForm, initial_of
from billing.views.buying import SeeOther
from common.errors import BillingError

HOME = "billing:auto_top_up"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@customer_required
def auto_top_up(request: SignedInRequest) -> HttpResponse:
    """How it stands and what it charged; a POST switches it on as the form says."""
    if request.method != "POST":
        return _page(request, None)
    if not request.membership.may_pay:
        raise RoleInsufficient
    form = AutoTopUpForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    try:
        row = auto_top_ups.switch_on(
            request.membership, form.terms, words=str(auto_top_ups.CONSENT)
        )
        if row.is_on:
            messages.success(request, _("Auto top-up is on."))
            return SeeOther(reverse(HOME))
        return _to_saving_page(row)
    except BillingError as refusal:
        return _page(request, form, refusal)


@require_POST
@paying_role_required
def off(request: SignedInRequest) -> HttpResponse:
    """Charge nothing more by itself."""
    auto_top_ups.switch_off(request.customer)
    messages.success(request, _("Auto top-up is off. Nothing is charged by itself any more."))
    return SeeOther(reverse(HOME))


@require_POST
@paying_role_required
def card(request: SignedInRequest) -> HttpResponse:
    """On to the provider's page where a card is saved."""
    row = auto_top_ups.of(request.customer)
    if row is None or row.consent is None:
        return SeeOther(reverse(HOME))
    try:
        return _to_saving_page(row)
    except BillingError as refusal:
        return _page(request, None, refusal)


@require_safe
@never_cache
@paying_role_required
def saved(request: SignedInRequest) -> HttpResponse:
    """Back from saving a card; asks the provider whether one was."""
    try:
        auto_top_ups.finish_saving(request.customer, request.GET.get("page", ""))
    except BillingError as refusal:
        messages.error(request, str(refusal))
        return SeeOther(reverse(HOME))
    row = auto_top_ups.of(request.customer)
    if row is not None and row.is_on:
        messages.success(request, _("Auto top-up is on. It charges %(card)s.") % {"card": row.card})
    return SeeOther(reverse(HOME))


def _to_saving_page(row: AutoTopUp) -> HttpResponse:
    return SeeOther(
        auto_top_ups.saving_url(
            row,
            done_url=settings.PUBLIC_URL + reverse("billing:auto_top_up_saved"),
            back_url=settings.PUBLIC_URL + reverse(HOME),
        )
    )


def _page(
    request: SignedInRequest, form: AutoTopUpForm | None, refusal: BillingError | None = None
) -> HttpResponse:
    row = selectors.auto_top_up(request.customer)
    context = {
        "auto_top_up": row,
        "form": form or AutoTopUpForm(initial=initial_of(row)),
        "refusal": refusal,
        "why_not": _why_not(),
    }
    status = refusal.status if refusal else 400 if form is not None else 200
    return render(request, "billing/auto_top_up.html", context, status=status)


def _why_not() -> str:
    """Why it cannot be switched on in this deployment; empty when it can."""
    try:
        auto_top_ups.require_rail()
    except NotOffered as refusal:
        return str(refusal)
    return ""
