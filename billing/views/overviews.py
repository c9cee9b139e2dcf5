"""What a customer has of plans: read once a request, and told on every page of billing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.http import PortalRequest, SignedInRequest
from billing import selectors
from billing.selectors import Holdings, Overview, Phase
from billing.services import plan_menu

PAGES = "/billing/"
_KEY = "_subscription_overview"
_HOLDINGS = "_holdings"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that somebody who pays should see to."""

    kind: str
    plan_name: str
    sentence: str
    # Whether the provider's page mends it.
    is_fixed_at_provider: bool


def overview_of(request: SignedInRequest) -> Overview:
    """The customer's subscriptions, read the first time it is asked."""
    known: Overview | None = getattr(request, _KEY, None)
    if known is None:
        known = plan_menu.overview(request.customer)
        setattr(request, _KEY, known)
    return known


def holdings_of(request: SignedInRequest) -> Holdings:
    """What the customer has, read the first time it is asked: not for views that change it."""
    known: Holdings | None = getattr(request, _HOLDINGS, None)
    if known is None:
        known = selectors.holdings(request.customer)
        setattr(request, _HOLDINGS, known)
    return known


def notices(request: HttpRequest) -> dict[str, Any]:
    """``billing_notices`` for templates: nothing is read unless a page of billing shows them."""
    return {"billing_notices": SimpleLazyObject(lambda: _notices(request))}


def _notices(request: HttpRequest) -> list[Notice]:
    acting = cast("PortalRequest", request)
    if not request.path.startswith(PAGES) or not getattr(acting, "customer", None):
        return []
    if not acting.membership or not acting.membership.may_pay:
        return []
    found = overview_of(cast("SignedInRequest", request))
    told = [
        Notice(str(row.phase), row.plan_name, row.next.sentence, row.subscription.renews)
        for row in found.live
        if row.phase in (Phase.PAST_DUE, Phase.SUSPENDED, Phase.PAUSED)
    ]
    if len(found.live) > 1:
        names = pgettext("plans", " and ").join(row.plan_name for row in found.live)
        told.append(Notice("duplicate", names, "", is_fixed_at_provider=False))
    return told + _cap_notices(cast("SignedInRequest", request))


def _cap_notices(request: SignedInRequest) -> list[Notice]:
    """What is to be said of the spend cap, except where it is the subject; one query."""
    wallet = holdings_of(request).wallet
    if wallet is None or wallet.cap_minor is None or request.path in _told_there():
        return []
    cap = selectors.spend_cap(request.customer)
    used = {"used": cap.used, "cap": cap.cap}
    if cap.is_reached:
        sentence = _("%(used)s of %(cap)s are used: nothing more can be spent this month.") % used
        return [Notice("spend_cap", "", sentence, is_fixed_at_provider=False)]
    if cap.is_nearly_reached:
        sentence = _("%(used)s of %(cap)s are used.") % used
        return [Notice("spend_cap_near", "", sentence, is_fixed_at_provider=False)]
    return []


def _told_there() -> tuple[str, ...]:
    return tuple(map(reverse, ("billing:spending", "billing:spending_off", "billing:upgrade")))
