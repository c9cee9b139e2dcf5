"""Who our customers are at Stripe."""

from __future__ import annotations

import stripe

from accounts.models import Customer
from billing.models import RailCustomer
from billing.rails.card.client import reachable

RAIL = "card"
# dj-stripe links its mirror to us by this metadata key (its DJSTRIPE_SUBSCRIBER_CUSTOMER_KEY).
SUBSCRIBER_KEY = "djstripe_subscriber"


def ensure(customer: Customer) -> str:
    """The customer's ``cus_…``; made at Stripe the first time, once however often it is asked.

    Raises RailUnavailable. Not inside a transaction.
    """
    known = RailCustomer.objects.filter(rail=RAIL, customer=customer).first()
    if known is not None:
        return known.external_id
    with reachable():
        external_id = _find(customer) or _create(customer)
    row, _ = RailCustomer.objects.get_or_create(
        rail=RAIL, customer=customer, defaults={"external_id": external_id}
    )
    return row.external_id


def known_as(external_id: str | None) -> Customer | None:
    """Our customer of that ``cus_…``."""
    if external_id is None:
        return None
    row = RailCustomer.objects.filter(rail=RAIL, external_id=external_id)
    found = row.select_related("customer").first()
    return found.customer if found else None


def _find(customer: Customer) -> str | None:
    """One that an attempt made whose answer was lost more than a day ago, past its key."""
    page = stripe.Customer.list(email=customer.email, limit=100)
    for one in page.auto_paging_iter():
        if (one.to_dict().get("metadata") or {}).get(SUBSCRIBER_KEY) == str(customer.pk):
            return one.id
    return None


def _create(customer: Customer) -> str:
    made = stripe.Customer.create(
        email=customer.email,
        name=customer.name or customer.email,
        metadata={SUBSCRIBER_KEY: str(customer.pk)},
        idempotency_key=f"customer:{customer.pk}",
    )
    return made.id
