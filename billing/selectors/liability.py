"""What the house owes: units that customers hold, and money that is not earned yet. As of now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from billing.money import ASSETS, Asset, Money, asset
from billing.selectors.reading import rows

_SUMS = """
    SELECT 'units', a.asset, sum(l.remaining_minor)::bigint,
           coalesce(sum(l.remaining_minor) FILTER (WHERE l.promotional), 0)::bigint,
           count(DISTINCT l.account_id)
    FROM billing_lot l JOIN billing_ledgeraccount a ON a.id = l.account_id
    WHERE l.is_open GROUP BY 2
    UNION ALL
    SELECT 'deferred', asset, ledger_balance_before(id, NULL), 0, 0
    FROM billing_ledgeraccount WHERE owner_id IS NULL AND role = 'deferred'"""

_WALLETS = """
    SELECT a.id, c.id, c.email, a.asset, sum(l.remaining_minor)::bigint,
           coalesce(sum(l.remaining_minor) FILTER (WHERE l.promotional), 0)::bigint,
           min(l.expires_at)
    FROM billing_lot l
    JOIN billing_ledgeraccount a ON a.id = l.account_id
    JOIN accounts_customer c ON c.id = a.owner_id
    WHERE l.is_open GROUP BY 1, 2, 3, 4 ORDER BY 4, 5 DESC, 1"""

# Every cent of the deferred account is a lot's, a period's or that of an order not delivered yet.
_DEFERRED = """
    SELECT 'lot', l.id::text, l.origin, l.cost_asset,
           l.cost_minor - l.recognised_minor - l.breakage_minor - l.refunded_minor AS minor
    FROM billing_lot l
    WHERE l.cost_minor > l.recognised_minor + l.breakage_minor + l.refunded_minor
    UNION ALL
    SELECT 'period', p.id::text, p.plan_slug, p.asset,
           p.cost_minor - p.recognised_minor - p.refunded_minor - p.carried_out_minor
    FROM billing_subscriptionperiod p
    WHERE p.cost_minor > p.recognised_minor + p.refunded_minor + p.carried_out_minor
    UNION ALL
    SELECT 'order', o.id::text, o.product_name, y.asset,
           y.amount_minor - y.tax_minor - (y.refunded_minor - y.refunded_tax_minor)
    FROM billing_order o JOIN billing_payment y ON y.order_id = o.id
    WHERE o.status = 'paid' AND o.delivered_at IS NULL
      AND y.amount_minor - y.tax_minor > y.refunded_minor - y.refunded_tax_minor
    ORDER BY 4, 5 DESC, 1, 2"""


@dataclass(frozen=True, slots=True)
class Held:
    """Units of one asset in customers' wallets, how much of it was given away, in how many."""

    total: Money
    promotional: Money
    wallet_count: int


@dataclass(frozen=True, slots=True)
class Liability:
    """What is owed now, each asset for itself."""

    held: Sequence[Held]
    # Money received, without tax, for what is neither used nor over nor refunded.
    deferred: Sequence[Money]


@dataclass(frozen=True, slots=True)
class WalletRow:
    """What one wallet holds."""

    account_id: int
    customer_id: UUID
    email: str
    total: Money
    promotional: Money
    next_expiry_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeferredRow:
    """One thing whose money is not earned yet: a lot, a billed period, or an undelivered order."""

    kind: str
    pk: str
    about: str
    amount: Money


def liability() -> Liability:
    """Units and money owed. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SUMS)
        found = cursor.fetchall()
    held = {
        code: Held(_money(total, code), _money(given, code), count)
        for part, code, total, given, count in found
        if part == "units"
    }
    deferred = {code: _money(total, code) for part, code, total, _, _ in found if part != "units"}
    return Liability(
        [held[code] for code in ASSETS if code in held],
        [deferred[code] for code in ASSETS if deferred.get(code)],
    )


def wallet_rows(*, limit: int | None = None) -> Iterator[WalletRow]:
    """The wallets that hold something, the fullest of each asset first."""
    for account, customer, email, code, total, given, expiry in rows(_WALLETS, limit=limit):
        yield WalletRow(account, customer, email, _money(total, code), _money(given, code), expiry)


def deferred_rows(*, limit: int | None = None) -> Iterator[DeferredRow]:
    """What the deferred money is made of, the largest of each asset first."""
    for kind, pk, about, code, minor in rows(_DEFERRED, limit=limit):
        yield DeferredRow(kind, pk, about, _money(minor, code))


def _money(minor: int, code: str) -> Money:
    unit: Asset = asset(code)
    return Money(int(minor), unit)
