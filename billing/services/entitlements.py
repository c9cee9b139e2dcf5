"""Entitlements: who adds to them, who tells that they changed, and asking for one of them.

The answer itself is ``selectors.entitlements(customer)``.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.db import transaction

from accounts.models import Customer
from billing.selectors.entitlements import (
    Source,
    cache_key,
    entitlements,
    forget,
    register,
    sources,
)
from common.errors import Forbidden

__all__ = ["NotInPlan", "Source", "cache_key", "changed", "register", "require", "sources"]


class NotInPlan(Forbidden):
    """The customer's plan does not have this feature."""

    code = "not_in_plan"
    message = "Your plan does not include this. Choose a plan that does."


def changed(customer_id: UUID) -> None:
    """Something that a customer's entitlements are made of changed: forget them after commit."""
    transaction.on_commit(partial(forget, customer_id), robust=True)


def require(customer: Customer, feature: str) -> None:
    """Do nothing if the customer's plan has this feature, else raise NotInPlan."""
    if not entitlements(customer).allows(feature):
        raise NotInPlan
