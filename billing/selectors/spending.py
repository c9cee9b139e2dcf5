"""What was spent, by day: for looking at, in the customer's own time zone."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import F, Q, Sum, Value
from django.db.models.functions import Least, Now, TruncDate

from accounts.models import Customer
from billing.models import Code, LedgerAccount, Transfer
from billing.money import CREDIT, Asset, Money
from common import clock

# What leaves a wallet without being spent.
_NOT_SPENT = (Code.REVOKE, Code.EXPIRE, Code.DEBT_PAYMENT, Code.ADJUSTMENT)

_GIVEN_BACK = (Code.USAGE_REFUND, Code.ORDER_BACK)


@dataclass(frozen=True, slots=True)
class Day:
    """What one day's work cost, less what was given back on it."""

    on: date
    spent: Money


@dataclass(frozen=True, slots=True)
class Month:
    """The customer's calendar month so far; days to come are empty."""

    starts_on: date
    days: Sequence[Day]
    total: Money


def this_month(customer: Customer, wallet: LedgerAccount | None, unit: Asset = CREDIT) -> Month:
    """Spent per day of the current calendar month of the customer. Two queries."""
    today = clock.now().astimezone(customer.zone)
    starts = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    taken = _by_day(customer, starts, Q(source=wallet) & ~Q(code__in=_NOT_SPENT)) if wallet else {}
    back = _by_day(customer, starts, Q(target=wallet, code__in=_GIVEN_BACK)) if wallet else {}
    length = calendar.monthrange(today.year, today.month)[1]
    dates = [starts.date() + timedelta(days=number) for number in range(length)]
    days = [Day(on, Money(max(0, taken.get(on, 0) - back.get(on, 0)), unit)) for on in dates]
    total = Money(sum(day.spent.amount_minor for day in days), unit)
    return Month(starts.date(), days, total)


def _by_day(customer: Customer, starts: datetime, which: Q) -> dict[date, int]:
    # Bounded by created_at for its index. Nothing is booked before it happens, unless the
    # portal's clock was moved ahead of the database's; hence the second, looser bound.
    recent = Least(Value(starts), Now() - timedelta(days=32))
    rows = (
        Transfer.objects.filter(which, created_at__gte=recent, occurred_at__gte=starts)
        .annotate(on=TruncDate(F("occurred_at"), tzinfo=customer.zone))
        .values("on")
        .annotate(total=Sum("amount_minor"))
        .order_by("on")
    )
    return {row["on"]: row["total"] for row in rows}
