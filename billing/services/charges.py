"""A charge as a rail reports it, before it is a Payment of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from accounts.models import Customer
from billing.money import Asset, Money


class Reason(StrEnum):
    """Why a rail billed a stretch of a subscription."""

    FIRST = "first"
    RENEWAL = "renewal"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Term:
    """The stretch of a subscription that a rail billed, as the rail tells it.

    ``subscription_id`` and ``invoice_id`` are the rail's own names.
    """

    rail: str
    subscription_id: str
    invoice_id: str
    reason: Reason
    plan_slug: str
    interval: str
    price_minor: int
    asset: Asset
    starts_at: datetime
    ends_at: datetime
    anchor_at: datetime
    is_trial: bool
    # The order that its first payment is for, as the rail was told.
    order_id: UUID | None


@dataclass(frozen=True, slots=True)
class Charge:
    """What a rail reports of one charge, read from the provider's own object.

    ``amount_minor`` is all that came: subtotal - discount + tax + what was owed before.
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
    # What it pays of a subscription, if it is for one.
    term: Term | None = None
    # Amounts too small to be charged for by themselves, which the rail collected with this.
    owed_before_minor: int = 0

    @property
    def amount(self) -> Money:
        """All that came."""
        return Money(self.amount_minor, self.asset)
