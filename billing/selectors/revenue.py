"""Revenue: what sold goods have earned, as the ledger says it, by rail, product and time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db import connection

from billing.money import ASSETS, Asset, Money, asset
from billing.selectors.reading import rows
from billing.selectors.spans import Span

# Where the house's earnings come to lie: used goods, goods that will never be used, its shares.
INCOME = ("sales", "breakage", "platform_fee")

# Every transfer into or out of an income account, and what it is about: a period, a lot or a
# payment or order, as its key or group names it. No regular expressions: they cost ten times as
# much, for each of a year's rows.
_MOVES = """
    SELECT t.id, t.occurred_at, t.key, a.role, a.asset, side.sign * t.amount_minor AS minor,
           left(split_part(':' || t.key, ':period:', 2), 36) AS period_name,
           split_part(split_part(':' || t.key, ':lot:', 2), ':', 1) AS lot_name,
           CASE WHEN starts_with(t.group_key, 'order:')
                THEN substr(t.group_key, 7, 36) END AS order_name,
           CASE WHEN starts_with(t.group_key, 'payment:')
                THEN substr(t.group_key, 9, 36) END AS payment_name
    FROM billing_transfer t
    CROSS JOIN LATERAL (VALUES (t.target_id, 1), (t.source_id, -1)) AS side (account_id, sign)
    JOIN billing_ledgeraccount a
      ON a.id = side.account_id AND a.owner_id IS NULL AND a.role = ANY(%(income)s)
    WHERE t.occurred_at >= %(since)s AND t.occurred_at < %(until)s"""


def _uuid(text: str) -> str:
    """The text as an id, or NULL where it is none."""
    looks_so = f"{text} LIKE '________-____-____-____-____________'"
    digits = f"translate({text}, '0123456789abcdef-', '') = ''"
    return f"CASE WHEN {looks_so} AND {digits} THEN ({text})::uuid END"


_ABOUT = f"""
    LEFT JOIN billing_subscriptionperiod p ON p.id = {_uuid("m.period_name")}
    LEFT JOIN billing_lot l
      ON l.id = CASE WHEN length(m.lot_name) BETWEEN 1 AND 18
                      AND translate(m.lot_name, '0123456789', '') = ''
                     THEN m.lot_name::bigint END
    LEFT JOIN billing_payment y ON y.id = {_uuid("m.payment_name")}
    LEFT JOIN billing_order o ON o.id = coalesce(
        p.order_id, {_uuid("substr(l.origin, 7)")}, y.order_id,
        {_uuid("m.order_name")})"""

_SUMS = f"""
    WITH moves AS ({_MOVES}),
    m AS (
        SELECT date_trunc(%(step)s, occurred_at AT TIME ZONE 'UTC')::date AS step, asset,
               period_name, lot_name, order_name, payment_name, sum(minor) AS minor
        FROM moves GROUP BY 1, 2, 3, 4, 5, 6)
    SELECT m.step, m.asset, coalesce(o.rail, y.rail, ''), coalesce(o.product_kind, ''),
           coalesce(o.product_slug, ''), sum(m.minor)::bigint
    FROM m {_ABOUT}
    GROUP BY 1, 2, 3, 4, 5 HAVING sum(m.minor) <> 0 ORDER BY 1, 2, 3, 4, 5"""  # noqa: S608 - our own constants

_ROWS = f"""
    WITH m AS ({_MOVES})
    SELECT m.occurred_at, m.id, m.asset, m.minor, m.role, coalesce(o.rail, y.rail, ''),
           coalesce(o.product_kind, ''), coalesce(o.product_slug, ''), o.id, m.key
    FROM m {_ABOUT}
    ORDER BY m.occurred_at DESC, m.id DESC, m.role"""  # noqa: S608 - our own constants


@dataclass(frozen=True, slots=True)
class Earned:
    """What one product earned over one rail in one step of time, less what went back."""

    step: date
    amount: Money
    rail: str
    product_kind: str
    product_slug: str

    @property
    def product(self) -> str:
        """The product as staff read it; what names no order of ours is told apart."""
        return product_title(self.product_kind, self.product_slug)


@dataclass(frozen=True, slots=True)
class EarnedRow:
    """One transfer of the ledger that changed revenue."""

    occurred_at: datetime
    transfer_id: int
    amount: Money
    role: str
    rail: str
    product_kind: str
    product_slug: str
    order_id: UUID | None
    key: str

    @property
    def product(self) -> str:
        """The product as staff read it."""
        return product_title(self.product_kind, self.product_slug)


class Revenue:
    """What was earned in a range of days, each asset for itself."""

    def __init__(self, span: Span, parts: Sequence[Earned]) -> None:
        self.span = span
        self.parts = parts

    @property
    def assets(self) -> list[Asset]:
        """The assets in which something was earned, in the order they are declared."""
        known = {one.amount.asset for one in self.parts}
        return [unit for unit in ASSETS.values() if unit in known]

    def total(self, unit: Asset) -> Money:
        """All of it in one asset."""
        return Money(sum(one.amount.amount_minor for one in self._of(unit)), unit)

    def by_rail(self, unit: Asset) -> dict[str, Money]:
        """By the way it was paid, the largest first."""
        return self._by(unit, lambda one: one.rail or "other")

    def by_product(self, unit: Asset) -> dict[str, Money]:
        """By what was sold, the largest first."""
        return self._by(unit, lambda one: one.product)

    def series(self, unit: Asset) -> dict[str, list[int]]:
        """For each product its amounts step by step, those without any as 0."""
        steps = {day: place for place, day in enumerate(self.span.steps())}
        lines: dict[str, list[int]] = {name: [0] * len(steps) for name in self.by_product(unit)}
        for one in self._of(unit):
            lines[one.product][steps[one.step]] += one.amount.amount_minor
        return lines

    def _of(self, unit: Asset) -> Iterator[Earned]:
        return (one for one in self.parts if one.amount.asset == unit)

    def _by(self, unit: Asset, name: Callable[[Earned], str]) -> dict[str, Money]:
        sums: dict[str, int] = defaultdict(int)
        for one in self._of(unit):
            sums[name(one)] += one.amount.amount_minor
        ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
        return {key: Money(minor, unit) for key, minor in ordered}


def revenue(span: Span) -> Revenue:
    """What was earned in these days. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, _bounds(span) | {"step": str(span.step)})
        found = cursor.fetchall()
    return Revenue(
        span,
        [
            Earned(step, Money(minor, asset(code)), rail, kind, slug)
            for step, code, rail, kind, slug, minor in found
        ],
    )


def revenue_rows(span: Span, *, limit: int | None = None) -> Iterator[EarnedRow]:
    """The transfers behind it, newest first, read as they are asked for."""
    for at, pk, code, minor, role, rail, kind, slug, order_id, key in rows(
        _ROWS, _bounds(span), limit=limit
    ):
        yield EarnedRow(at, pk, Money(minor, asset(code)), role, rail, kind, slug, order_id, key)


def product_title(kind: str, slug: str) -> str:
    """A product as staff read it, e.g. ``plan premium``."""
    return f"{kind.replace('_', ' ')} {slug}".strip() or "other"


def _bounds(span: Span) -> dict[str, Any]:
    return {"income": list(INCOME), "since": span.since, "until": span.until}
