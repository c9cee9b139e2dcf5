"""The subscription: how it stands, ending it, going on with it, and the provider's own page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import SignedInRequest, customer_required, paying_role_required
from billing import catalogue, selectors
from billing.errors import ChangeNotPossible, NoSubscription, RailUnavailable
from billing.selectors import Overview, SubscriptionRow
from billing.services import cancellations, plan_changes, plan_menu, rails
from billing.services.renewing import RenewingRail
from billing.views.buying import SeeOther
from billing.views.overviews import overview_of
from common.errors import BillingError, NotFound

PAGE = 12
HOME = "billing:subscription"


@require_safe
@customer_required
def subscription(request: SignedInRequest) -> HttpResponse:
    """What the customer has, what happens next, what can be done, and what was billed."""
    history, next_cursor = selectors.subscription_periods(
        request.customer, limit=PAGE, cursor=request.GET.get("cursor")
    )
    context = {
        "have": overview_of(request),
        "free": catalogue.current().free_plan,
        "history": history,
        "next_cursor": next_cursor,
        "is_first_page": not request.GET.get("cursor"),
        "has_provider_page": _has_provider_page(overview_of(request)),
    }
    return render(request, "billing/subscription.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@paying_role_required
def cancel(request: SignedInRequest) -> HttpResponse:
    """What ending it means and when; a POST ends it with what is paid."""
    row = _chosen(request)
    if not row.can_cancel:
        messages.info(request, row.next.sentence)
        return _home()
    if request.method != "POST":
        return _cancel_page(request, row)
    try:
        if row == overview_of(request).current:
            ended = cancellations.cancel(request.customer)
        else:
            ended = cancellations.cancel_one(row.subscription)
    except (RailUnavailable, ChangeNotPossible) as refusal:
        return _cancel_page(request, row, refusal)
    sentence = selectors.subscription_row(ended).next.sentence
    messages.success(
        request, _("%(plan)s is cancelled. %(next)s") % {"plan": row.plan_name, "next": sentence}
    )
    return _home()


@require_POST
@paying_role_required
def resume(request: SignedInRequest) -> HttpResponse:
    """Let it go on as it is: takes back a cancellation, or a change that is still to come."""
    try:
        kept = cancellations.resume(request.customer)
        if kept.next_plan_slug:
            kept = plan_changes.keep_plan(request.customer)
    except (RailUnavailable, ChangeNotPossible, NoSubscription) as refusal:
        messages.error(request, str(refusal))
        return _home()
    row = selectors.subscription_row(kept)
    words = {"plan": row.plan_name, "next": row.next.sentence}
    messages.success(request, _("You keep %(plan)s. %(next)s") % words)
    return _home()


@require_POST
@paying_role_required
def portal(request: SignedInRequest) -> HttpResponse:
    """On to the provider's page for cards and invoices."""
    back = request.POST.get("back", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, None)
    try:
        url = plan_menu.self_service_url(request.customer, back=back if is_ours else reverse(HOME))
    except (RailUnavailable, ChangeNotPossible) as refusal:
        messages.error(request, str(refusal))
        return _home()
    return SeeOther(url)


def _has_provider_page(have: Overview) -> bool:
    """Whether a provider keeps cards and invoices of this customer."""
    known = [*have.live, *([have.last_ended] if have.last_ended else [])]
    on = {rail.name for rail in rails.available() if isinstance(rail, RenewingRail)}
    return any(row.subscription.rail in on and row.subscription.external_id for row in known)


def _home() -> HttpResponse:
    return SeeOther(reverse(HOME))


def _chosen(request: SignedInRequest) -> SubscriptionRow:
    """The subscription that counts, or the one beside it that the address names."""
    have = overview_of(request)
    named = request.POST.get("subscription") or request.GET.get("subscription", "")
    if not named:
        if have.current is None:
            raise NoSubscription
        return have.current
    found = [row for row in have.live if str(row.subscription.pk) == named]
    if not found:
        raise NotFound(_("There is no such subscription."))
    return found[0]


def _cancel_page(
    request: SignedInRequest, row: SubscriptionRow, refusal: BillingError | None = None
) -> HttpResponse:
    sold = catalogue.current()
    slug = row.subscription.plan_slug
    others = [one for one in overview_of(request).live if one != row]
    plan = sold.plan(slug) if sold.has_plan(slug) else sold.free_plan
    context = {
        "row": row,
        "ends_at": row.subscription.period_ends_at,
        "free": sold.free_plan,
        # Beside another subscription nothing is lost: that one goes on.
        "lost": [] if others else selectors.lost(plan, sold.free_plan),
        "others": others,
        "refusal": refusal,
    }
    status = refusal.status if refusal else 200
    return render(request, "billing/subscription_cancel.html", context, status=status)
