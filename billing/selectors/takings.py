"""Money as it came in and went back: payments, refunds, disputes, and what could not be charged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from billing.models import (
    FAILING,
    Dispute,
    DisputeState,
    Order,
    OrderStatus,
    Payment,
    Refund,
    Subscription,
)
from billing.money import ASSETS, Asset, Money, asset, share_half_even
from billing.selectors.revenue import product_title
from billing.selectors.spans import Span


class Part(StrEnum):
    """What is counted."""

    RECEIVED = "received"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    FAILED = "failed"
    FAILING = "failing"


# Each counts and adds up rows of one table: asset, rail, product, step, count, amount, tax.
_SQL = {
    Part.RECEIVED: """
        SELECT 'received', y.asset, y.rail, coalesce(o.product_kind, ''),
               coalesce(o.product_slug, ''),
               date_trunc(%(step)s, y.occurred_at AT TIME ZONE 'UTC')::date,
               count(*), sum(y.amount_minor)::bigint, sum(y.tax_minor)::bigint
        FROM billing_payment y LEFT JOIN billing_order o ON o.id = y.order_id
        WHERE y.occurred_at >= %(since)s AND y.occurred_at < %(until)s
        GROUP BY 2, 3, 4, 5, 6""",
    Part.REFUNDED: """
        SELECT 'refunded', y.asset, y.rail, '', '',
               date_trunc(%(step)s, r.booked_at AT TIME ZONE 'UTC')::date,
               count(*), sum(r.amount_minor)::bigint, sum(r.tax_minor)::bigint
        FROM billing_refund r JOIN billing_payment y ON y.id = r.payment_id
        WHERE r.booked_at >= %(since)s AND r.booked_at < %(until)s
        GROUP BY 2, 3, 6""",
    Part.DISPUTED: f"""
        SELECT 'disputed', y.asset, y.rail, '', '', NULL::date,
               count(*), sum(d.amount_minor)::bigint, 0
        FROM billing_dispute d JOIN billing_payment y ON y.id = d.payment_id
        WHERE d.opened_at >= %(since)s AND d.opened_at < %(until)s
          AND d.state <> '{DisputeState.INQUIRY}'
        GROUP BY 2, 3""",  # noqa: S608 - our own constants
    Part.FAILED: f"""
        SELECT 'failed', asset, rail, '', '', NULL::date,
               count(*), sum(subtotal_minor)::bigint, 0
        FROM billing_order
        WHERE created_at >= %(since)s AND created_at < %(until)s
          AND status = '{OrderStatus.FAILED}'
        GROUP BY 2, 3""",  # noqa: S608 - our own constants
    Part.FAILING: f"""
        SELECT 'failing', asset, rail, '', '', NULL::date,
               count(*), sum(price_minor)::bigint, 0
        FROM billing_subscription WHERE status IN ({", ".join(f"'{one}'" for one in FAILING)})
        GROUP BY 2, 3""",  # noqa: S608 - our own constants
}


@dataclass(frozen=True, slots=True)
class Sum:
    """So many rows of one asset, and what they come to."""

    unit: Asset
    count: int = 0
    amount_minor: int = 0
    tax_minor: int = 0

    @property
    def amount(self) -> Money:
        """All of them together, tax included."""
        return Money(self.amount_minor, self.unit)

    @property
    def tax(self) -> Money:
        """The tax in them."""
        return Money(self.tax_minor, self.unit)

    @property
    def average(self) -> Money:
        """Per row, half-even; nothing where there is none."""
        minor = share_half_even(self.amount_minor, 1, self.count) if self.count else 0
        return Money(minor, self.unit)

    def __add__(self, other: Sum) -> Sum:
        return Sum(
            self.unit,
            self.count + other.count,
            self.amount_minor + other.amount_minor,
            self.tax_minor + other.tax_minor,
        )


@dataclass(frozen=True, slots=True)
class _Row:
    part: Part
    rail: str
    product: str
    step: date | None
    sum: Sum


class Takings:
    """What came in and went back in a range of days, each asset for itself."""

    def __init__(self, span: Span, rows: Sequence[_Row]) -> None:
        self.span = span
        self._rows = rows

    def assets(self, *parts: Part) -> list[Asset]:
        """The assets in which there is any of it, in the order they are declared."""
        known = {row.sum.unit for row in self._rows if row.part in parts}
        return [unit for unit in ASSETS.values() if unit in known]

    def total(self, part: Part, unit: Asset) -> Sum:
        """All of one part in one asset."""
        return sum((row.sum for row in self._of(part, unit)), Sum(unit))

    def count(self, part: Part) -> int:
        """How many rows of one part there are, whatever their asset."""
        return sum(row.sum.count for row in self._rows if row.part == part)

    def by_rail(self, part: Part, unit: Asset) -> dict[str, Sum]:
        """By the way it was paid."""
        sums: dict[str, Sum] = defaultdict(lambda: Sum(unit))
        for row in self._of(part, unit):
            sums[row.rail] += row.sum
        return dict(sorted(sums.items()))

    def by_product(self, unit: Asset) -> dict[str, Sum]:
        """Payments by what they were for."""
        sums: dict[str, Sum] = defaultdict(lambda: Sum(unit))
        for row in self._of(Part.RECEIVED, unit):
            sums[row.product] += row.sum
        return dict(sorted(sums.items()))

    def series(self, part: Part, unit: Asset) -> list[int]:
        """The amounts of payments or refunds, step by step."""
        steps = {day: place for place, day in enumerate(self.span.steps())}
        line = [0] * len(steps)
        for row in self._of(part, unit):
            if row.step is not None:
                line[steps[row.step]] += row.sum.amount_minor
        return line

    def refund_rate(self, unit: Asset) -> float | None:
        """Refunded money per money received; None when none was received."""
        received = self.total(Part.RECEIVED, unit).amount_minor
        return self.total(Part.REFUNDED, unit).amount_minor / received if received else None

    def dispute_rate(self, unit: Asset) -> float | None:
        """Disputes opened per payment received; None when none was received."""
        received = self.total(Part.RECEIVED, unit).count
        return self.total(Part.DISPUTED, unit).count / received if received else None

    def _of(self, part: Part, unit: Asset) -> list[_Row]:
        return [row for row in self._rows if row.part == part and row.sum.unit == unit]


def takings(span: Span, parts: Collection[Part] = tuple(Part)) -> Takings:
    """The parts that are asked for, in one query."""
    if not parts:
        return Takings(span, [])
    sql = " UNION ALL ".join(_SQL[part] for part in Part if part in parts)
    bounds: dict[str, Any] = {"since": span.since, "until": span.until, "step": str(span.step)}
    with connection.cursor() as cursor:
        cursor.execute(sql, bounds)
        found = cursor.fetchall()
    return Takings(
        span,
        [
            _Row(Part(part), rail, product_title(kind, slug), step, Sum(asset(code), *numbers))
            for part, code, rail, kind, slug, step, *numbers in found
        ],
    )


def payments_of(span: Span) -> QuerySet[Payment]:
    """The payments received in these days, newest first."""
    found = Payment.objects.filter(occurred_at__gte=span.since, occurred_at__lt=span.until)
    return found.select_related("customer", "order").order_by("-occurred_at", "-pk")


def refunds_of(span: Span) -> QuerySet[Refund]:
    """The refunds that were booked in these days and have not failed since, newest first."""
    found = Refund.objects.filter(booked_at__gte=span.since, booked_at__lt=span.until)
    return found.select_related("payment__customer").order_by("-booked_at", "-pk")


def disputes_of(span: Span) -> QuerySet[Dispute]:
    """The disputes opened in these days, newest first; mere questions are none."""
    found = Dispute.objects.filter(opened_at__gte=span.since, opened_at__lt=span.until)
    found = found.exclude(state=DisputeState.INQUIRY)
    return found.select_related("payment__customer").order_by("-opened_at", "-pk")


def failed_orders_of(span: Span) -> QuerySet[Order]:
    """The orders of these days whose payment failed, newest first."""
    found = Order.objects.filter(
        status=OrderStatus.FAILED, created_at__gte=span.since, created_at__lt=span.until
    )
    return found.select_related("customer").order_by("-created_at", "-pk")


def failing_subscriptions() -> QuerySet[Subscription]:
    """The subscriptions whose last renewal could not be charged, the longest failing first."""
    found = Subscription.objects.filter(status__in=FAILING).select_related("customer")
    return found.order_by("past_due_since", "pk")
