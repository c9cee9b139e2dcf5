"""Monthly recurring revenue at a moment, how it moved between two, and who subscribed.

A subscription counts from its first billed period until it ends, with what its newest period
costs a month. "At" a moment means just before it, so that ranges of days meet without a gap.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from itertools import accumulate
from typing import Any
from uuid import UUID

from django.db import connection

from billing.models import PLAN, PeriodKind
from billing.money import ASSETS, Asset, Money, asset, share_half_even
from billing.plans import LENGTH_MONTHS
from billing.selectors.reading import rows
from billing.selectors.spans import Span

_MONTHS = " ".join(f"WHEN '{name}' THEN {months}" for name, months in LENGTH_MONTHS.items())

# What each period is worth a month, from its start until the next one starts or all is over.
# Half-even as share_half_even does it: a quotient is rounded up past the middle, and at the middle
# when it is odd.
_SEGMENTS = f"""
    billed AS (
        SELECT s.id AS subscription_id, s.customer_id, p.asset, p.plan_slug, p.interval, p.kind,
               p.starts_at,
               least(lead(p.starts_at) OVER following, s.ended_at, s.cancels_at,
                     CASE WHEN NOT s.renews THEN s.period_ends_at END) AS until_at,
               CASE WHEN p.kind = '{PeriodKind.TRIAL}' OR o.id IS NULL THEN 0
                    WHEN o.snapshot ? 'change' OR o.snapshot -> 'term' ->> 'reason' = 'change'
                    THEN listed.minor
                    ELSE greatest(listed.minor - o.discount_minor, 0) END AS minor,
               CASE p.interval {_MONTHS} END AS months
        FROM billing_subscriptionperiod p
        JOIN billing_subscription s ON s.id = p.subscription_id AND s.subject = '{PLAN}'
        LEFT JOIN billing_order o ON o.id = p.order_id
        LEFT JOIN LATERAL (SELECT coalesce(
            (o.snapshot -> 'term' ->> 'price_minor')::bigint,
            (o.snapshot ->> 'price_minor')::bigint, o.subtotal_minor) AS minor) listed ON true
        WINDOW following AS (PARTITION BY s.id ORDER BY p.starts_at, p.ends_at, p.id)),
    segments AS (
        SELECT subscription_id, customer_id, asset, plan_slug, interval, kind, starts_at, until_at,
               minor / months + CASE
                   WHEN 2 * mod(minor, months) > months THEN 1
                   WHEN 2 * mod(minor, months) = months THEN mod(minor / months, 2)
                   ELSE 0 END AS monthly
        FROM billed WHERE until_at IS NULL OR until_at > starts_at)"""  # noqa: S608 - our own constants

_HOLDERS = """
    holders AS (
        SELECT customer_id, asset,
               coalesce(sum(monthly) FILTER (WHERE starts_at < %(since)s
                   AND coalesce(until_at >= %(since)s, true)), 0) AS before,
               coalesce(sum(monthly) FILTER (WHERE starts_at < %(until)s
                   AND coalesce(until_at >= %(until)s, true)), 0) AS after,
               coalesce(bool_or(monthly > 0 AND starts_at < %(since)s), false) AS had
        FROM segments GROUP BY 1, 2),
    moved AS (
        SELECT customer_id, asset, before, after,
               CASE WHEN before = 0 AND after > 0 AND had THEN 'reactivation'
                    WHEN before = 0 AND after > 0 THEN 'new'
                    WHEN before > 0 AND after = 0 THEN 'churn'
                    WHEN after > before THEN 'expansion'
                    WHEN after < before THEN 'contraction'
                    ELSE 'same' END AS kind
        FROM holders WHERE before > 0 OR after > 0)"""

_PAYERS = """
    payers AS (
        SELECT customer_id, min(starts_at) AS first_paid_at
        FROM segments WHERE monthly > 0 GROUP BY 1)"""

# What is asked together: part, asset, step or kind, a count, two amounts.
_ALL = f"""
    WITH {_SEGMENTS}, {_HOLDERS}, {_PAYERS},
    steps AS (
        SELECT asset, starts_at AS at, monthly FROM segments
        WHERE starts_at >= %(since)s AND starts_at < %(until)s
        UNION ALL
        SELECT asset, until_at, -monthly FROM segments
        WHERE until_at >= %(since)s AND until_at < %(until)s)
    SELECT 'moved', asset, kind, count(*), sum(before)::bigint, sum(after)::bigint
    FROM moved GROUP BY 2, 3
    UNION ALL
    SELECT 'step', asset, date_trunc(%(step)s, at AT TIME ZONE 'UTC')::date::text, 0,
           sum(monthly)::bigint, 0
    FROM steps GROUP BY 2, 3
    UNION ALL
    SELECT 'people', '', '', count(DISTINCT customer_id) FILTER (WHERE after > 0),
           count(DISTINCT customer_id) FILTER (WHERE before > 0), 0 FROM moved
    UNION ALL
    SELECT 'trials', '', '', count(DISTINCT customer_id), 0, 0 FROM segments
    WHERE kind = '{PeriodKind.TRIAL}' AND starts_at < %(until)s
      AND coalesce(until_at >= %(until)s, true)
    UNION ALL
    SELECT 'joined', '', '', count(*), count(*) FILTER (WHERE first_paid_at < %(until)s), 0
    FROM accounts_customer c LEFT JOIN payers ON payers.customer_id = c.id
    WHERE c.created_at >= %(since)s AND c.created_at < %(whole)s"""  # noqa: S608 - our own constants

_SUBSCRIPTIONS = f"""
    WITH {_SEGMENTS}
    SELECT g.subscription_id, g.customer_id, c.email, g.plan_slug, g.interval, g.asset, g.monthly,
           g.starts_at
    FROM segments g JOIN accounts_customer c ON c.id = g.customer_id
    WHERE g.monthly > 0 AND g.starts_at < %(until)s AND coalesce(g.until_at >= %(until)s, true)
    ORDER BY g.asset, g.monthly DESC, g.subscription_id DESC"""  # noqa: S608 - our own constants

_MOVED = f"""
    WITH {_SEGMENTS}, {_HOLDERS}
    SELECT m.customer_id, c.email, m.asset, m.kind, m.before::bigint, m.after::bigint
    FROM moved m JOIN accounts_customer c ON c.id = m.customer_id
    WHERE m.kind <> 'same' OR %(everybody)s
    ORDER BY m.asset, m.kind, m.after - m.before DESC, m.customer_id"""  # noqa: S608 - our own constants

_JOINED = f"""
    WITH {_SEGMENTS}, {_PAYERS}
    SELECT c.id, c.email, c.created_at,
           CASE WHEN first_paid_at < %(until)s THEN first_paid_at END
    FROM accounts_customer c LEFT JOIN payers ON payers.customer_id = c.id
    WHERE c.created_at >= %(since)s AND c.created_at < %(whole)s
    ORDER BY c.created_at DESC, c.id DESC"""  # noqa: S608 - our own constants


class Movement(StrEnum):
    """What became of one customer's monthly revenue between two moments."""

    NEW = "new"
    REACTIVATION = "reactivation"
    EXPANSION = "expansion"
    CONTRACTION = "contraction"
    CHURN = "churn"


@dataclass(slots=True)
class Mrr:
    """One asset: at the beginning and the end of a range, and how it came from one to the other.

    start + new + reactivation + expansion + contraction + churn = end: what lowers it is negative.
    """

    unit: Asset
    start_minor: int = 0
    end_minor: int = 0
    moves_minor: dict[Movement, int] = field(default_factory=lambda: dict.fromkeys(Movement, 0))
    customers: dict[Movement, int] = field(default_factory=lambda: dict.fromkeys(Movement, 0))
    subscriber_count: int = 0
    # At the end of each step of the range.
    series: list[int] = field(default_factory=list)

    @property
    def start(self) -> Money:
        """At the beginning of the range."""
        return Money(self.start_minor, self.unit)

    @property
    def end(self) -> Money:
        """At the end of the range."""
        return Money(self.end_minor, self.unit)

    def moved(self, move: Movement) -> Money:
        """What one kind of movement changed."""
        return Money(self.moves_minor[move], self.unit)

    @property
    def arpu(self) -> Money:
        """Per active subscriber at the end, half-even; nothing where there is none."""
        count = self.subscriber_count
        return Money(share_half_even(self.end_minor, 1, count) if count else 0, self.unit)


@dataclass(frozen=True, slots=True)
class Recurring:
    """Everything about subscriptions in a range of days; what has not happened yet is left out."""

    assets: Sequence[Mrr]
    # Customers, whatever asset they pay in.
    subscriber_count: int
    subscriber_count_before: int
    trial_count: int
    joined_count: int
    converted_count: int

    def of(self, unit: Asset) -> Mrr:
        """One asset's, all zero where it has none."""
        found = next((one for one in self.assets if one.unit == unit), None)
        return found or Mrr(unit)


@dataclass(frozen=True, slots=True)
class SubscriptionMrr:
    """What one subscription is worth a month."""

    subscription_id: UUID
    customer_id: UUID
    email: str
    plan_slug: str
    interval: str
    monthly: Money
    since: datetime


@dataclass(frozen=True, slots=True)
class CustomerMove:
    """One customer's monthly revenue at both ends of a range."""

    customer_id: UUID
    email: str
    kind: str
    before: Money
    after: Money


@dataclass(frozen=True, slots=True)
class Joined:
    """A customer who joined, and since when they have paid for a plan."""

    customer_id: UUID
    email: str
    joined_at: datetime
    paid_since: datetime | None


def recurring(span: Span) -> Recurring:
    """MRR, its movements, subscribers and who became one. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL, _bounds(span) | {"step": str(span.step)})
        found = cursor.fetchall()
    parts: dict[str, list[Any]] = defaultdict(list)
    for part, *rest in found:
        parts[part].append(rest)
    by_code: dict[str, Mrr] = {}
    for code, kind, count, before, after in parts["moved"]:
        _add(by_code.setdefault(code, Mrr(asset(code))), kind, count, before, after)
    steps: dict[str, dict[date, int]] = defaultdict(dict)
    for code, step, _, delta, _ in parts["step"]:
        by_code.setdefault(code, Mrr(asset(code)))
        steps[code][date.fromisoformat(step)] = delta
    for code, one in by_code.items():
        one.series = _summed(span, one.start_minor, steps[code])
    (_, _, people, people_before, _), (_, _, trials, _, _) = parts["people"][0], parts["trials"][0]
    _, _, joined, converted, _ = parts["joined"][0]
    known = [by_code[code] for code in ASSETS if code in by_code]
    return Recurring(known, people, people_before, trials, joined, converted)


def mrr_rows(span: Span, *, limit: int | None = None) -> Iterator[SubscriptionMrr]:
    """The subscriptions that MRR at the end of the range is made of, the largest first."""
    for pk, customer, email, plan, interval, code, minor, since in rows(
        _SUBSCRIPTIONS, _bounds(span), limit=limit
    ):
        amount = Money(minor, asset(code))
        yield SubscriptionMrr(pk, customer, email, plan, interval, amount, since)


def movement_rows(
    span: Span, *, limit: int | None = None, everybody: bool = False
) -> Iterator[CustomerMove]:
    """The customers whose MRR the range changed; ``everybody``: who stayed the same as well."""
    bounds = _bounds(span) | {"everybody": everybody}
    for customer, email, code, kind, before, after in rows(_MOVED, bounds, limit=limit):
        unit = asset(code)
        yield CustomerMove(customer, email, kind, Money(before, unit), Money(after, unit))


def joined_rows(span: Span, *, limit: int | None = None) -> Iterator[Joined]:
    """The customers who joined in the range, the newest first."""
    for row in rows(_JOINED, _bounds(span), limit=limit):
        yield Joined(*row)


def _add(one: Mrr, kind: str, count: int, before: int, after: int) -> None:
    one.start_minor += before
    one.end_minor += after
    if kind in set(Movement):
        one.moves_minor[Movement(kind)] += after - before
        one.customers[Movement(kind)] += count
    if kind != Movement.CHURN:
        one.subscriber_count += count


def _summed(span: Span, start_minor: int, deltas: dict[date, int]) -> list[int]:
    changes = (deltas.get(step, 0) for step in span.steps())
    return list(accumulate(changes, initial=start_minor))[1:]


def _bounds(span: Span) -> dict[str, Any]:
    return {"since": span.since, "until": span.over_at, "whole": span.until}
