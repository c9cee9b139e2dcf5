"""A charge as a rail reports it, before it is a Payment of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from accounts.models import Customer
from billing.money import Asset, Money


@dataclass(frozen=True, slots=True)
class Charge:
    """What a rail reports of one charge, read from the provider's own object.

    ``amount_minor`` is all that came: subtotal - discount + tax.
    """

    rail: str
    external_id: str
    asset: Asset
    amount_minor: int
    subtotal_minor: int
    discount_minor: int
    tax_minor: int
    occurred_at: datetime
    # Who paid, as the rail knows it; None when it does not.
    customer: Customer | None
    # The order it says it is for; what is true is decided by matching.
    order_id: UUID | None

    @property
    def amount(self) -> Money:
        """All that came."""
        return Money(self.amount_minor, self.asset)
