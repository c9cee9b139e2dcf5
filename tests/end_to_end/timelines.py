"""Who billed which second: the sandbox's invoice lines against the portal's periods."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import stripe

from billing.models import Subscription
from billing.rails.card import prices

# From second to second a plan (and interval) that is billed; in order.
Timeline = list[tuple[int, int, str]]


def of_portal(subscription: Subscription) -> Timeline:
    """What the portal says was billed of a subscription."""
    found = subscription.periods.order_by("starts_at")
    return merged((_second(one.starts_at), _second(one.ends_at), one.plan_slug) for one in found)


def of_invoices(invoices: Iterable[dict[str, Any]]) -> Timeline:
    """What paid invoices of one subscription billed, less what they gave back again.

    Fails when a second is billed twice, or given back without having been billed.
    """
    steps: dict[int, Counter[str]] = defaultdict(Counter)
    for invoice in invoices:
        for line in invoice["lines"]["data"]:
            plan = prices.read(line["pricing"]["price_details"]["price"]).plan_slug
            sign = -1 if line["description"].startswith("Unused time") else 1
            steps[line["period"]["start"]][plan] += sign
            steps[line["period"]["end"]][plan] -= sign
    billed: Counter[str] = Counter()
    timeline: Timeline = []
    moments = sorted(steps)
    for start, end in itertools.pairwise(moments):
        billed.update(steps[start])
        plans = +billed
        assert min(billed.values()) >= 0, f"given back unbilled: {billed} from {start}"
        assert plans.total() <= 1, f"billed twice: {plans} from {start} to {end}"
        timeline += [(start, end, plan) for plan in plans]
    return merged(timeline)


def merged(stretches: Iterable[tuple[int, int, str]]) -> Timeline:
    """Stretches of the same plan that touch become one; empty ones are left out."""
    timeline: Timeline = []
    for start, end, plan in sorted(stretches):
        if start == end:
            continue
        if timeline and timeline[-1][1:] == (start, plan):
            start = timeline.pop()[0]
        timeline.append((start, end, plan))
    return timeline


def joined(timeline: Timeline, most_seconds: int) -> Timeline:
    """Short gaps are counted to what was before them.

    A change that begins a cycle of its own gives back from when it was quoted, and begins when
    it is confirmed: what lies between is a present.
    """
    filled = list(timeline)
    for place, (one, other) in enumerate(itertools.pairwise(timeline)):
        if 0 < other[0] - one[1] <= most_seconds:
            filled[place] = (one[0], other[0], one[2])
    return merged(filled)


def gaps(timeline: Timeline) -> list[tuple[int, int]]:
    """Seconds between the first and the last that nobody billed."""
    pairs = itertools.pairwise(timeline)
    return [(one[1], other[0]) for one, other in pairs if one[1] != other[0]]


def invoices_of(subscription: Subscription) -> list[dict[str, Any]]:
    """Every invoice of a subscription that was paid or needed no payment, oldest first."""
    found = stripe.Invoice.list(
        subscription=subscription.external_id, status="paid", limit=100
    ).auto_paging_iter()
    return [one.to_dict() for one in found][::-1]


def _second(moment: datetime) -> int:
    assert moment.microsecond == 0
    return round(moment.timestamp())
