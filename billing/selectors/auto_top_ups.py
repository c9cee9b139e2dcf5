"""Auto top-up as its owner sees it: its terms, what it charged, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum
from django.utils.translation import gettext as _

from accounts.models import Customer
from billing import catalogue
from billing.intervals import month_at
from billing.models import (
    AutoTopUp,
    AutoTopUpCharge,
    AutoTopUpState,
    AutoTopUpStop,
    ChargeState,
)
from billing.money import USD, Money
from common import clock
from common.errors import InvalidInput

# What counts against the month's maximum.
_COUNTS = (ChargeState.PENDING, ChargeState.PAID)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class AutoTopUpRow:
    """One customer's auto top-up as it stands now; charges newest first."""

    terms: AutoTopUp
    charged: Money
    month_ends_at: datetime
    charges: Sequence[AutoTopUpCharge]

    @property
    def is_on(self) -> bool:
        """Whether it may charge."""
        return self.terms.is_on

    @property
    def is_waiting(self) -> bool:
        """Whether its owner agreed and no card is saved yet."""
        return self.terms.state == AutoTopUpState.WAITING

    @property
    def percent(self) -> int:
        """How much of the month's maximum is charged, in whole percent."""
        return min(100, self.charged.amount_minor * 100 // self.terms.monthly_max_minor)

    @property
    def left(self) -> Money:
        """What may still be charged this month."""
        return max(Money(0, USD), self.terms.monthly_max - self.charged)

    @property
    def is_month_full(self) -> bool:
        """Whether no further purchase fits into this month."""
        return self.left < self.terms.price

    @property
    def in_flight(self) -> AutoTopUpCharge | None:
        """The charge that is under way."""
        return next((one for one in self.charges if one.state == ChargeState.PENDING), None)

    @property
    def declined(self) -> AutoTopUpCharge | None:
        """The last charge, if it was declined and nothing has come right since."""
        last = self.charges[0] if self.charges else None
        is_declined = last is not None and last.state == ChargeState.DECLINED
        return last if is_declined and self.terms.declines else None

    @property
    def next_try_at(self) -> datetime | None:
        """When the card is tried again after a decline."""
        return self.terms.next_look_at if self.is_on and self.declined else None

    @property
    def stopped(self) -> str:
        """Why it is off, as a sentence; empty if it is not, or never was on."""
        known = self.terms.stop_reason in AutoTopUpStop.values
        return str(AutoTopUpStop(self.terms.stop_reason).label) if known else ""

    @property
    def is_stopped_by_us(self) -> bool:
        """Whether it was not its owner who switched it off."""
        return self.terms.stop_reason not in ("", AutoTopUpStop.BY_OWNER)

    @property
    def product(self) -> str:
        """What one purchase brings, as it is sold today."""
        sold = catalogue.current()
        try:
            if self.terms.package:
                return str(sold.credit_pack(self.terms.package).credits)
            return str(sold.custom_credit_pack(self.terms.price).credits)
        except InvalidInput:
            return _("credits")


def auto_top_up(customer: Customer) -> AutoTopUpRow | None:
    """How it stands; None if it never was set up. Three queries."""
    found = AutoTopUp.objects.filter(customer=customer).select_related("consent").first()
    if found is None:
        return None
    charges = found.charges.select_related("order").order_by("-requested_at", "-pk")[:_SHOWN]
    return AutoTopUpRow(
        terms=found,
        charged=charged_this_month(customer, found),
        month_ends_at=month_of(customer)[1],
        charges=list(charges),
    )


def month_of(customer: Customer) -> tuple[datetime, datetime]:
    """The month of the customer's anchor, in their time zone, that counts now."""
    return month_at(customer.anchor_at, clock.now(), customer.zone)


def charged_this_month(customer: Customer, terms: AutoTopUp) -> Money:
    """What was charged since the month began; charges under way count, refunds do not."""
    since = terms.charges.filter(state__in=_COUNTS, requested_at__gte=month_of(customer)[0])
    total = since.aggregate(total=Sum("order__subtotal_minor"))["total"]
    return Money(total or 0, USD)
