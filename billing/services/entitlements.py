"""Entitlements: who adds to them, who tells that they changed, and asking for one of them.

The answer itself is ``selectors.entitlements(customer)``.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Customer
from billing.errors import LimitReached, NotInPlan
from billing.plans import MONTHLY, Limit
from billing.selectors.entitlements import (
    Source,
    cache_key,
    entitlements,
    forget,
    register,
    sources,
)

__all__ = [
    "NotInPlan",
    "Source",
    "cache_key",
    "changed",
    "register",
    "require",
    "require_room",
    "sources",
]


def changed(customer_id: UUID) -> None:
    """Something that a customer's entitlements are made of changed: forget them after commit."""
    transaction.on_commit(partial(forget, customer_id), robust=True)


def require(customer: Customer, feature: str) -> None:
    """Do nothing if the customer's plan has this feature, else raise NotInPlan."""
    if not entitlements(customer).allows(feature):
        raise NotInPlan(reason=f"feature:{feature}")


def require_room(customer: Customer, limit: str, *, used: int, wanted: int = 1) -> None:
    """Do nothing if ``wanted`` more fit under this limit of the customer's plan.

    ``used`` is what its owner has counted: of this month for a monthly limit, else what there is.
    Raises LimitReached, which names the limit, the figures and when they count anew.
    """
    have = entitlements(customer)
    allowed = have.limit(limit)
    if allowed is None or used + wanted <= allowed:
        return
    label = Limit(limit).label if limit in Limit.values else limit
    raise LimitReached(
        _("The limit of your plan is reached: %(limit)s, %(used)s of %(allowed)s.")
        % {"limit": label, "used": f"{used:,}", "allowed": f"{allowed:,}"},
        reason=limit,
        used=used,
        allowed=allowed,
        wanted=wanted,
        resets_at=have.month_ends_at if limit in MONTHLY else None,
    )
