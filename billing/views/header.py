"""What the top of every page tells: for whom one acts, with which plan, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.http import PortalRequest, SignedInRequest
from accounts.models import Customer, User
from billing import catalogue
from billing.money import Money
from billing.views.overviews import holdings_of, overview_of


@dataclass(frozen=True, slots=True)
class Header:
    """Empty for who has no customer."""

    name: str
    plan_name: str = ""
    balance: Money | None = None
    # The customers one could act for instead.
    others: Sequence[Customer] = ()

    @property
    def initial(self) -> str:
        """The letter in the round badge."""
        return self.name[:1].upper()


def header(request: HttpRequest) -> dict[str, Any]:
    """``header`` for templates; nothing is read unless a page shows it."""
    return {"header": SimpleLazyObject(lambda: _header(request))}


def _header(request: HttpRequest) -> Header:
    if not isinstance(request.user, User):
        return Header("")
    if not cast("PortalRequest", request).customer:
        return Header(request.user.get_short_name())
    acting = cast("SignedInRequest", request)
    current = overview_of(acting).current
    plan_name = current.plan_name if current else catalogue.current().free_plan.name
    others = [row.customer for row in acting.memberships if row.customer != acting.customer]
    return Header(
        str(acting.customer),
        plan_name,
        holdings_of(acting).balance.spendable,
        sorted(others, key=lambda customer: (customer.kind, customer.name.casefold(), customer.pk)),
    )
