"""Stripe's recurring prices in our terms: a plan, an interval, an amount."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import stripe

from billing.rails.card.client import reachable

PREFIX = "plan_"


@dataclass(frozen=True, slots=True)
class PlanPrice:
    """What a recurring price sells. ``plan_slug`` is empty when it is no plan of ours."""

    id: str
    plan_slug: str
    interval: str
    amount_minor: int
    currency: str


@lru_cache(maxsize=512)
def read(price_id: str) -> PlanPrice:
    """A price by its id; what matters of a price never changes at Stripe."""
    with reachable():
        found = stripe.Price.retrieve(price_id).to_dict()
    product = found["product"]
    product_id = product if isinstance(product, str) else product["id"]
    recurring = found["recurring"] or {}
    is_single = recurring.get("interval_count") == 1
    is_ours = product_id.startswith(PREFIX) and is_single
    return PlanPrice(
        id=price_id,
        plan_slug=product_id.removeprefix(PREFIX) if is_ours else "",
        interval=recurring.get("interval", ""),
        amount_minor=found["unit_amount"] or 0,
        currency=found["currency"],
    )
