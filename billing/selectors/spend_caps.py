"""The monthly spend cap: what it is, what is used of it, when it counts anew, and months before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import (
    BigIntegerField,
    DateTimeField,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce, Least, Now

from accounts.models import Customer
from billing.intervals import number_at, start_of
from billing.models import Code, Hold, HoldState, LedgerAccount, SpendCapPeriod, Transfer
from billing.money import CREDIT, Money, share_floor
from billing.plans import Interval
from common import clock

# From here on a page says that little is left.
NEARLY_PERCENT = 80
MONTHS_SHOWN = 6

# What leaves an account without being spent by its owner; the ledger's cap counts by the same list.
NOT_SPENT = (
    Code.REVOKE,
    Code.EXPIRE,
    Code.DEBT_PAYMENT,
    Code.DEBT_PAYMENT_BACK,
    Code.ADJUSTMENT,
)
_SPENT_FROM = ("wallet", "debt", "accrued")


@dataclass(frozen=True, slots=True)
class SpendCap:
    """A customer's cap on the credits of one month; ``cap`` is None while there is none.

    ``used`` counts what was spent and what is ``held``; usage that could not be refused may take it
    beyond the cap. Without a cap nothing is counted, and ``used`` is nothing.
    """

    cap: Money | None
    used: Money
    held: Money
    starts_at: datetime
    resets_at: datetime

    @property
    def left(self) -> Money | None:
        """What may still be spent this month; None without a cap."""
        if self.cap is None:
            return None
        return Money(max(0, (self.cap - self.used).amount_minor), CREDIT)

    @property
    def percent(self) -> int:
        """How much of the cap is used, 0 to 100, rounded down."""
        if self.cap is None:
            return 0
        if not self.cap:
            return 100
        return min(100, share_floor(100, self.used.amount_minor, self.cap.amount_minor))

    @property
    def is_reached(self) -> bool:
        """Whether nothing more may be spent this month."""
        return self.left is not None and not self.left

    @property
    def is_nearly_reached(self) -> bool:
        """Whether little is left, and something is."""
        return not self.is_reached and self.percent >= NEARLY_PERCENT

    @property
    def is_exceeded(self) -> bool:
        """Whether usage that could not be refused went beyond it."""
        return self.cap is not None and self.cap < self.used


@dataclass(frozen=True, slots=True)
class SpentMonth:
    """What was spent in one month of the anchor, in credits."""

    starts_at: datetime
    ends_at: datetime
    spent: Money


def spend_cap(customer: Customer) -> SpendCap:
    """The customer's cap on credits and what is used of it this month. One query."""
    return spend_cap_of(capped().filter(owner=customer).first(), customer)


def spend_cap_of(wallet: Any, customer: Customer) -> SpendCap:
    """The cap that was read with the customer's wallet (``with_cap``), or none. No query."""
    if wallet is None or wallet.cap_minor is None:
        starts_at, resets_at = _month(customer, 0)
        return SpendCap(None, Money(0, CREDIT), Money(0, CREDIT), starts_at, resets_at)
    return SpendCap(
        cap=Money(wallet.cap_minor, CREDIT),
        used=Money(wallet.used_minor, CREDIT),
        held=Money(wallet.counted_held_minor, CREDIT),
        starts_at=wallet.starts_at,
        resets_at=wallet.resets_at,
    )


def used_up_caps(after: int = 0, limit: int = 500) -> list[tuple[int, UUID, datetime]]:
    """Caps of which all is used now: account (by id, beyond ``after``), owner, when it resets."""
    wallets: Any = capped()
    found = (
        wallets.filter(pk__gt=after, used_minor__gt=0, used_minor__gte=F("cap_minor"))
        .order_by("pk")
        .values_list("pk", "owner_id", "resets_at")
    )
    return list(found[:limit])


def capped() -> QuerySet[LedgerAccount, Any]:
    """Wallets of credits with a cap: the month it counts now, what is used and held of it."""
    return with_cap(
        LedgerAccount.objects.filter(role="wallet", asset=CREDIT.code, cap_minor__isnull=False)
    )


def with_cap(accounts: QuerySet[LedgerAccount]) -> QuerySet[LedgerAccount, Any]:
    """Each with the month that its cap counts now, and what is used and held of it."""
    clauses = (F("cap_anchor_at"), F("cap_time_zone"), Value(clock.now()))
    month = SpendCapPeriod.objects.filter(
        account=OuterRef("pk"), starts_at=OuterRef("starts_at")
    ).values("used_minor")
    held = (
        Hold.objects.filter(
            account=OuterRef("pk"), state=HoldState.HELD, cap_period_at=OuterRef("starts_at")
        )
        .order_by()
        .values("account")
        .annotate(total=Sum("amount_minor"))
        .values("total")
    )
    return accounts.annotate(
        starts_at=Func(*clauses, function="ledger_period_start", output_field=DateTimeField()),
        resets_at=Func(*clauses, function="ledger_period_end", output_field=DateTimeField()),
        used_minor=Coalesce(Subquery(month, output_field=BigIntegerField()), 0),
        counted_held_minor=Coalesce(Subquery(held, output_field=BigIntegerField()), 0),
    )


def spent_months(customer: Customer, count: int = MONTHS_SHOWN) -> list[SpentMonth]:
    """What was spent in the last ``count`` months of the customer's anchor, this one last.

    Whether or not there was a cap; what is held is not spent yet. Two queries.
    """
    months = [_month(customer, back) for back in range(count - 1, -1, -1)]
    accounts = LedgerAccount.objects.filter(
        owner=customer, role__in=_SPENT_FROM, asset=CREDIT.code
    ).values_list("pk", flat=True)
    first = months[0][0]
    # Bounded by created_at for its index; the portal's clock may be ahead of the database's.
    recent = Least(Value(first), Now() - timedelta(days=31 * (count + 1)))
    spent = Transfer.objects.filter(
        source__in=list(accounts), created_at__gte=recent, occurred_at__gte=first
    ).exclude(code__in=NOT_SPENT)
    totals = spent.aggregate(
        **{
            f"month{place}": Sum(
                "amount_minor", filter=Q(occurred_at__gte=starts, occurred_at__lt=ends)
            )
            for place, (starts, ends) in enumerate(months)
        }
    )
    return [
        SpentMonth(starts, ends, Money(totals[f"month{place}"] or 0, CREDIT))
        for place, (starts, ends) in enumerate(months)
    ]


def _month(customer: Customer, back: int) -> tuple[datetime, datetime]:
    """The month of the customer's anchor that lies ``back`` months ago."""
    anchor_at, zone = customer.anchor_at, customer.zone
    number = number_at(anchor_at, Interval.MONTH, clock.now(), zone) - back
    return (
        start_of(anchor_at, Interval.MONTH, number, zone),
        start_of(anchor_at, Interval.MONTH, number + 1, zone),
    )
