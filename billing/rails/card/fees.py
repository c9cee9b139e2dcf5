"""What Stripe keeps of a charge."""

from __future__ import annotations

from uuid import UUID

from billing.rails.card import objects
from billing.services import payments


def book(payment_id: UUID, charge: objects.Object | None) -> None:
    """Book Stripe's fee of a charge, once its balance transaction is there."""
    transaction = (charge or {}).get("balance_transaction")
    if isinstance(transaction, dict):
        payments.book_fee(payment_id, transaction["fee"])
