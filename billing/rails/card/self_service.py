"""Stripe's own page for customers: cards, invoices, cancelling. Plans are changed here."""

from __future__ import annotations

from typing import Any

import stripe

from accounts.models import Customer
from billing.rails.card import customers
from billing.rails.card.client import reachable

# Marks the configuration that is ours among those somebody made by hand.
NAME = {"made_by": "billing_portal"}
# What the page offers; our preview shows what a plan change costs, theirs is left out.
FEATURES: dict[str, Any] = {
    "customer_update": {"enabled": True, "allowed_updates": ["address", "tax_id"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    "subscription_update": {"enabled": False},
}


def url(customer: Customer, return_url: str) -> str:
    """A fresh link to the page, for this customer alone. Raises RailUnavailable."""
    customer_id = customers.ensure(customer)
    with reachable():
        session = stripe.billing_portal.Session.create(
            customer=customer_id, return_url=return_url, configuration=_find() or _make()
        )
    return session.url


def sync() -> list[str]:
    """Make the configuration of the page if it is missing; returns what was made."""
    with reachable():
        if _find() is None:
            return [f"customer portal {_make()} made"]
    return []


def _find() -> str | None:
    page = stripe.billing_portal.Configuration.list(active=True, limit=100)
    for one in page.auto_paging_iter():
        if one.to_dict().get("metadata") == NAME:
            return one.id
    return None


def _make() -> str:
    made = stripe.billing_portal.Configuration.create(features=FEATURES, metadata=NAME)  # type: ignore[arg-type]
    return made.id
