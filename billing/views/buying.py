"""Choosing credits and going to pay."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import SignedInRequest, customer_required, paying_role_required
from billing import catalogue
from billing.catalogue import CreditPack
from billing.errors import RailUnavailable
from billing.models import Order
from billing.money import Money
from billing.services import orders, products, purchases, rails
from billing.views.forms import AmountForm
from common.errors import BillingError, InvalidInput

OUT_OF_REACH = gettext_lazy(
    "The payment provider cannot be reached at the moment. Nothing was charged, and your order is"
    " kept: pay it from here a little later."
)


class SeeOther(HttpResponseRedirect):
    """Go there with GET, whatever brought you here."""

    status_code = 303


@require_http_methods(["GET", "HEAD", "POST"])
@paying_role_required
def buy(request: SignedInRequest) -> HttpResponse:
    """Packages and an amount of one's own; a POST makes the order and goes to its pay page."""
    is_own_amount = request.method == "POST" and "package" not in request.POST
    form = AmountForm(request.POST if is_own_amount else None)
    if request.method != "POST":
        return _page(request, form)
    try:
        item = _chosen(request, form)
        order = purchases.start(
            request.customer, item, rail=_rail_name(request), placed_by=request.user
        )
    except InvalidInput as refusal:
        return _page(request, form, refusal)
    return to_pay_page(request, order)


@require_safe
@customer_required
def quote(request: SignedInRequest) -> HttpResponse:
    """What an amount buys, while it is being typed."""
    form = AmountForm(request.GET)
    return render(request, "billing/partials/quote.html", {"form": form, "pack": _custom(form)})


def to_pay_page(request: SignedInRequest, order: Order) -> HttpResponse:
    """On to where the order is paid; back to the transactions when that is not possible now."""
    try:
        return SeeOther(orders.pay_url(order))
    except BillingError as refusal:
        is_kept = isinstance(refusal, RailUnavailable)
        messages.error(request, OUT_OF_REACH if is_kept else str(refusal))
        response = redirect("billing:transactions")
        response.status_code = 303
        return response


def _chosen(request: SignedInRequest, form: AmountForm) -> products.Sold:
    rail = _rail_name(request)
    if "package" in request.POST:
        return purchases.package(request.POST["package"], rail=rail)
    if not form.is_valid():
        raise InvalidInput
    return purchases.custom(form.cleaned_data["amount"].amount_minor, rail=rail)


def _rail_name(request: SignedInRequest) -> str:
    return request.POST.get("rail", "card")


def _page(
    request: SignedInRequest, form: AmountForm, refusal: InvalidInput | None = None
) -> HttpResponse:
    sold = catalogue.current()
    context = {
        "offers": purchases.pack_offers(),
        "custom_rails": [rail for rail in rails.available() if form.unit in rail.assets],
        "form": form,
        "pack": _custom(form),
        "rate": sold.credits_for(Money(form.unit.unit_minor, form.unit), slug="rate"),
        # What is wrong with the amount stands beside its field.
        "refusal": refusal if refusal and not form.errors else None,
    }
    return render(request, "billing/buy.html", context, status=refusal.status if refusal else 200)


def _custom(form: AmountForm) -> CreditPack | None:
    if not form.is_bound or not form.is_valid():
        return None
    return catalogue.current().custom_credit_pack(form.cleaned_data["amount"])
