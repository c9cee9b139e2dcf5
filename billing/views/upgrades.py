"""Where somebody lands who reached a limit: what is in the way, and one click to each way out."""

from __future__ import annotations

from typing import cast

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import RoleInsufficient, SignedInRequest, customer_required
from billing.errors import LimitReached
from billing.money import CREDIT
from billing.services import spend_caps, upgrades
from billing.services.upgrades import Asked, Upgrade
from billing.views.overviews import overview_of
from common.errors import BillingError
from common.middleware import show_with

MAX_DIGITS = 16
_PAGE = "billing/upgrade.html"
_PART = "billing/partials/upgrade_options.html"


@require_safe
@never_cache
@customer_required
def upgrade(request: SignedInRequest) -> HttpResponse:
    """What helps against ``?reason=``; only the options when htmx asks for a dialog's."""
    need = request.GET.get("need", "")
    asked = Asked(
        request.customer,
        overview_of(request),
        reason=request.GET.get("reason", ""),
        need_minor=int(need) if _is_amount(need) else 0,
    )
    template = _PART if request.htmx else _PAGE
    return render(request, template, context_of(request, upgrades.options(asked)))


def refused(request: HttpRequest, refusal: BillingError) -> HttpResponse | None:
    """The same for something that was just refused, with the refusal's status."""
    acting = cast("SignedInRequest", request)
    if not getattr(acting, "customer", None) or request.path.startswith("/admin/"):
        return None
    found = options_after(acting, refusal)
    context = context_of(acting, found) | {"refusal": refusal}
    answer = render(request, _PAGE, context, status=refusal.status)
    if acting.htmx and isinstance(refusal, LimitReached):
        answer["HX-Redirect"] = refusal.upgrade_path
    return answer


def options_after(request: SignedInRequest, refusal: BillingError) -> Upgrade:
    """What helps against this very refusal."""
    limit = refusal if isinstance(refusal, LimitReached) else None
    is_credits = limit is not None and limit.asset == CREDIT
    return upgrades.options(
        Asked(
            request.customer,
            overview_of(request),
            reason=limit.reason if limit else "role",
            refusal=limit,
            need_minor=(limit.missing or 0) if limit and is_credits else 0,
        )
    )


def context_of(request: SignedInRequest, found: Upgrade) -> dict[str, object]:
    """For the templates: the options, and whom to ask who may not pay."""
    may_pay = request.membership.may_pay
    return {
        "upgrade": found,
        "may_pay": may_pay,
        "owners": [] if may_pay else upgrades.owners(request.customer),
    }


def register_pages() -> None:
    """Show refusals by a limit, or by one's role, with what helps."""
    show_with(LimitReached, refused)
    show_with(RoleInsufficient, refused)


def _is_amount(text: str) -> bool:
    """Whether it is a whole number that no cap is beyond; anything else in a link is ignored."""
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        return False
    return int(text) <= spend_caps.MAX_CAP.amount_minor
