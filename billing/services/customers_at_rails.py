"""Making customers known to the rails: a sweep, so that sign-up never waits for a provider."""

from __future__ import annotations

import logging

from accounts.models import Customer
from billing.errors import RailUnavailable
from billing.models import RailCustomer
from billing.services import rails

logger = logging.getLogger(__name__)


def create_missing(limit: int = 100) -> int:
    """Make up to ``limit`` customers known to each rail that keeps them; returns how many."""
    made = 0
    for rail in rails.available():
        if not rail.knows_customers:
            continue
        known = RailCustomer.objects.filter(rail=rail.name).values("customer_id")
        for customer in Customer.objects.exclude(pk__in=known).order_by("pk")[:limit]:
            try:
                rail.ensure_customer(customer)
            except RailUnavailable:
                logger.warning("customers left to the next sweep", extra={"rail": rail.name})
                break
            except Exception:
                # An address the provider does not like, say: the others must not wait for it.
                details = {"rail": rail.name, "customer_id": str(customer.pk)}
                logger.exception("customer not made known", extra=details)
                continue
            made += 1
    return made
