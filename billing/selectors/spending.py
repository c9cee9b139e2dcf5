"""What was spent, by day: for looking at, in the customer's own time zone."""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import F, Q, QuerySet, Sum, Value
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
    """Spent per day of the current calendar month of the customer. One query."""
    today = clock.now().astimezone(customer.zone)
    starts = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spent = _by_day(customer, starts, wallet) if wallet else {}
    length = calendar.monthrange(today.year, today.month)[1]
    dates = [starts.date() + timedelta(days=number) for number in range(length)]
    days = [Day(on, Money(max(0, spent.get(on, 0)), unit)) for on in dates]
    total = Money(sum(day.spent.amount_minor for day in days), unit)
    return Month(starts.date(), days, total)


def _by_day(customer: Customer, starts: datetime, wallet: LedgerAccount) -> dict[date, int]:
    """What each day took less what came back on it; days without either are missing."""
    taken = _sums(customer, starts, Q(source=wallet) & ~Q(code__in=_NOT_SPENT), sign=1)
    back = _sums(customer, starts, Q(target=wallet, code__in=_GIVEN_BACK), sign=-1)
    spent: dict[date, int] = defaultdict(int)
    for on, total in taken.union(back, all=True):
        spent[on] += total
    return spent


def _sums(
    customer: Customer, starts: datetime, which: Q, *, sign: int
) -> QuerySet[Transfer, tuple[date, int]]:
    # Bounded by created_at for its index. Nothing is booked before it happens, unless the
    # portal's clock was moved ahead of the database's; hence the second, looser bound.
    recent = Least(Value(starts), Now() - timedelta(days=32))
    return (
        Transfer.objects.filter(which, created_at__gte=recent, occurred_at__gte=starts)
        .annotate(on=TruncDate(F("occurred_at"), tzinfo=customer.zone))
        .values("on")
        .annotate(total=Sum("amount_minor") * sign)
        .order_by()
        .values_list("on", "total")
    )
