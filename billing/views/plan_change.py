"""Changing the plan: what it costs to the cent, then a yes to exactly that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http import SignedInRequest, paying_role_required
from billing import catalogue, selectors
from billing.errors import NoSubscription, PaymentDeclined, QuoteOutdated, RailUnavailable
from billing.plans import Plan
from billing.services import plan_changes, plan_menu
from billing.services.plan_changes import Outcome, When
from billing.views.buying import SeeOther, to_pay_page
from common.errors import BillingError

TEMPLATE = "billing/subscription_change.html"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@paying_role_required
def change(request: SignedInRequest) -> HttpResponse:
    """What changing to a plan would cost now; a POST with the quote's token does exactly that."""
    asked = request.POST if request.method == "POST" else request.GET
    slug, interval = asked.get("plan", ""), asked.get("interval", "")
    try:
        if request.method == "POST":
            return _confirmed(request, slug, interval)
        return _shown(request, slug, interval)
    except NoSubscription as refusal:
        messages.info(request, str(refusal))
        return redirect("billing:plans")
    except BillingError as refusal:
        return _refused(request, slug, interval, refusal)


def _shown(
    request: SignedInRequest, slug: str, interval: str, refusal: BillingError | None = None
) -> HttpResponse:
    """The quote of this moment, under what was refused before, if anything was."""
    quote = plan_changes.quote(request.customer, slug, interval)
    row = selectors.subscription_row(quote.subscription)
    before = quote.subscription.plan_slug
    context = {
        "quote": quote,
        "row": row,
        "is_now": quote.when == When.NOW,
        "gained": _gained(before, quote.offer.plan),
        "lost": _lost(before, quote.offer.plan),
        "refusal": refusal,
        "is_declined": isinstance(refusal, PaymentDeclined),
        "here": _address(slug, interval),
    }
    return render(request, TEMPLATE, context, status=refusal.status if refusal else 200)


def _confirmed(request: SignedInRequest, slug: str, interval: str) -> HttpResponse:
    token = request.POST.get("token", "")
    try:
        plan_menu.require_quoted(token, slug, interval)
        outcome = plan_changes.confirm(request.customer, token, placed_by=request.user)
    except (QuoteOutdated, PaymentDeclined) as refusal:
        return _shown(request, slug, interval, refusal)
    except RailUnavailable as refusal:
        # Whether it was charged is not known here; the same token goes on with the same act.
        again = {"token": token, "plan": slug, "interval": interval}
        return _refused(request, slug, interval, refusal, {"again": again})
    if outcome.order is not None:
        return to_pay_page(request, outcome.order)
    messages.success(request, _sentence(outcome))
    return SeeOther(reverse("billing:subscription"))


def _refused(
    request: SignedInRequest,
    slug: str,
    interval: str,
    refusal: BillingError,
    more: Mapping[str, Any] | None = None,
) -> HttpResponse:
    context = {"refusal": refusal, "here": _address(slug, interval), **(more or {})}
    return render(request, TEMPLATE, context, status=refusal.status)


def _sentence(outcome: Outcome) -> str:
    row = selectors.subscription_row(outcome.subscription)
    if outcome.when == When.NOW:
        words = {"plan": row.plan_name, "next": row.next.sentence}
        return _("You have %(plan)s now. %(next)s") % words
    return _("Noted. %(next)s Until then nothing changes.") % {"next": row.next.sentence}


def _gained(before: str, after: Plan) -> list[str]:
    """What the new plan has more of, as the new amounts say it."""
    sold = catalogue.current()
    if not sold.has_plan(before):
        return []
    return selectors.gained(sold.plan(before), after)


def _lost(before: str, after: Plan) -> list[str]:
    sold = catalogue.current()
    return selectors.lost(sold.plan(before), after) if sold.has_plan(before) else []


def _address(slug: str, interval: str) -> str:
    """This page, to come back to from the provider's; only plain words go into it."""
    words = slug.replace("-", "").replace("_", "") + interval
    if not words.isalnum():
        return reverse("billing:subscription")
    return f"{reverse('billing:change')}?plan={slug}&interval={interval}"
