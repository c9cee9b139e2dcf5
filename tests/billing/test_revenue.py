"""Figures on the staff home equal a plain recount from the ledger, whatever happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.models import Transfer
from billing.money import Asset
from billing.selectors.liability import deferred_rows, liability, wallet_rows
from billing.selectors.mrr import joined_rows, movement_rows, mrr_rows, recurring
from billing.selectors.revenue import revenue, revenue_rows
from billing.selectors.spans import Span
from billing.selectors.takings import Part, Takings, takings
from common import clock
from tests.billing.prepaid import differences
from tests.billing.revenue_histories import History, lived
from tests.billing.revenue_oracle import Books
from tests.factories import NOW

pytestmark = pytest.mark.django_db

QUICK = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, max_examples=300, derandomize=False, print_blob=True)


@QUICK
@given(st.integers(0, 2**32))
def test_figures_equal_a_plain_recount(seed: int) -> None:
    with transaction.atomic():
        Recount(Random(seed), steps=70).prove()
        transaction.set_rollback(True)


@pytest.mark.prove
@LONG
@given(st.integers(0, 2**32), st.integers(20, 120))
def test_figures_equal_a_plain_recount_after_long_histories(seed: int, steps: int) -> None:
    with transaction.atomic():
        Recount(Random(seed), steps=steps).prove()
        transaction.set_rollback(True)


class Recount:
    """A history, and every figure of it twice."""

    def __init__(self, random: Random, steps: int) -> None:
        self.random = random
        self.history: History = lived(random, steps)
        self.now = self.history.now.at

    def prove(self) -> None:
        """For the whole of it, and for ranges of days anywhere in it."""
        with clock.frozen(self.now):
            assert differences() == [], self.history.log
            self.books = Books(self.now)
            everything = Span(NOW.date(), self.now.date())
            for span in [everything, *(self._span() for _ in range(3))]:
                self._revenue(span)
                self._takings(span)
                self._recurring(span)
            self._cash(everything)
            self._liability()

    def _span(self) -> Span:
        length = (self.now - NOW).days + 1
        first = NOW.date() + timedelta(days=self.random.randrange(length))
        left = (self.now.date() - first).days
        return Span(first, first + timedelta(days=self.random.randint(0, left)))

    def _revenue(self, span: Span) -> None:
        found = revenue(span)
        parts = Counter[tuple[str, str, str, str]]()
        for one in found.parts:
            name = (one.amount.asset.code, one.rail, one.product_kind, one.product_slug)
            parts[name] += one.amount.amount_minor
        rows = Counter[tuple[str, str, str, str]]()
        for row in revenue_rows(span):
            name = (row.amount.asset.code, row.rail, row.product_kind, row.product_slug)
            rows[name] += row.amount.amount_minor
        expected = self.books.revenue(span)
        told = (str(span), self.history.log)
        assert _nonzero(parts) == expected, told
        assert _nonzero(rows) == expected, told
        for unit in found.assets:
            total = sum(minor for name, minor in expected.items() if name[0] == unit.code)
            assert found.total(unit).amount_minor == total
            assert sum(one.amount_minor for one in found.by_rail(unit).values()) == total
            assert sum(one.amount_minor for one in found.by_product(unit).values()) == total
            assert sum(map(sum, found.series(unit).values())) == total

    def _takings(self, span: Span) -> None:
        found = takings(span)
        expected = {
            Part.RECEIVED: self.books.received(span),
            Part.REFUNDED: self.books.refunded(span),
            Part.DISPUTED: self.books.disputed(span),
            Part.FAILED: self.books.failed(span),
            Part.FAILING: self.books.failing(),
        }
        for part, sums in expected.items():
            assert _told(found, part) == sums, (part, str(span), self.history.log)
        for unit in found.assets(Part.RECEIVED):
            total = found.total(Part.RECEIVED, unit)
            assert sum(one.count for one in found.by_product(unit).values()) == total.count
            by_rail = found.by_rail(Part.RECEIVED, unit).values()
            assert sum(one.amount_minor for one in by_rail) == total.amount_minor
            assert sum(found.series(Part.RECEIVED, unit)) == total.amount_minor

    def _recurring(self, span: Span) -> None:
        found = recurring(span)
        told = (str(span), self.history.log)
        assert {
            one.unit.code: {
                name: minor
                for name, minor in [
                    ("start", one.start_minor),
                    ("end", one.end_minor),
                    *((str(move), minor) for move, minor in one.moves_minor.items()),
                ]
                if minor
            }
            for one in found.assets
            if one.start_minor or one.end_minor
        } == self.books.moves(span), told
        for one in found.assets:
            assert one.start_minor + sum(one.moves_minor.values()) == one.end_minor
            self._series(span, one.unit, one.series)
        end = span.over_at
        assert _by_asset((one.unit, one.subscriber_count) for one in found.assets) == (
            self.books.subscribers(end)
        ), told
        assert found.subscriber_count == self.books.people(end), told
        assert found.subscriber_count_before == self.books.people(span.since), told
        assert found.trial_count == self.books.trials(end), told
        assert (found.joined_count, found.converted_count) == self.books.joined(span), told
        joined = list(joined_rows(span))
        paid = [one for one in joined if one.paid_since]
        assert (len(joined), len(paid)) == self.books.joined(span), told
        self._recurring_rows(span)

    def _series(self, span: Span, unit: Asset, series: list[int]) -> None:
        """Each step's point is MRR just before the next step, or at the end of the range."""
        starts = [Span(day, day).since for day in span.steps()]
        ends = [*starts[1:], span.over_at]
        for end, point in zip(ends, series, strict=True):
            worth = self.books.mrr(end)
            assert point == sum(minor for (_, code), minor in worth.items() if code == unit.code)

    def _recurring_rows(self, span: Span) -> None:
        by_customer = Counter[tuple[object, str]]()
        for row in mrr_rows(span):
            by_customer[(row.customer_id, row.monthly.asset.code)] += row.monthly.amount_minor
        assert dict(by_customer) == self.books.mrr(span.over_at)
        first, last = self.books.mrr(span.since), self.books.mrr(span.over_at)
        moved = {
            (row.customer_id, row.before.asset.code): (
                row.before.amount_minor,
                row.after.amount_minor,
            )
            for row in movement_rows(span, everybody=True)
        }
        assert moved == {who: (first.get(who, 0), last.get(who, 0)) for who in {*first, *last}}

    def _cash(self, everything: Span) -> None:
        """What is told as received and refunded is what the ledger's clearing accounts saw."""
        found = takings(everything)
        for code, (came, gone) in self.books.cash().items():
            sums = {part: _told(found, part).get(code, (0, 0, 0)) for part in Part}
            assert (sums[Part.RECEIVED][1], sums[Part.REFUNDED][1]) == (came, gone), code

    def _liability(self) -> None:
        found = liability()
        held = _by_asset((one.total.asset, one.total.amount_minor) for one in found.held)
        assert held == self.books.held()
        deferred = _by_asset((one.asset, one.amount_minor) for one in found.deferred)
        assert deferred == self.books.deferred(), self.history.log
        wallets = Counter[str]()
        for wallet in wallet_rows():
            wallets[wallet.total.asset.code] += wallet.total.amount_minor
        assert dict(wallets) == held
        parts = Counter[str]()
        for part in deferred_rows():
            parts[part.amount.asset.code] += part.amount.amount_minor
        assert dict(parts) == deferred, self.history.log


def _told(found: Takings, part: Part) -> dict[str, tuple[int, int, int]]:
    sums = {unit.code: found.total(part, unit) for unit in found.assets(part)}
    return {code: (one.count, one.amount_minor, one.tax_minor) for code, one in sums.items()}


def _parts(span: Span, count: int) -> list[Span]:
    """The range cut into so many, without gaps."""
    days = [span.first + timedelta(days=span.day_count * one // count) for one in range(count + 1)]
    return [Span(one, end - timedelta(days=1)) for one, end in pairwise(days)]


def _nonzero(counter: Counter[tuple[str, str, str, str]]) -> dict[tuple[str, str, str, str], int]:
    return {name: minor for name, minor in counter.items() if minor}


def _by_asset(pairs: Iterable[tuple[Asset, int]]) -> dict[str, int]:
    return {unit.code: minor for unit, minor in pairs if minor}


def test_histories_hold_what_they_are_meant_to_hold() -> None:
    """A recount of histories in which nothing happens would prove nothing."""
    seen: Counter[str] = Counter()
    for seed in range(10):
        with transaction.atomic():
            history = lived(Random(seed), 100)
            now = history.now.at
            with clock.frozen(now):
                span = Span(NOW.date(), now.date())
                found = recurring(span)
                for part_span in _parts(span, 5):
                    for one in recurring(part_span).assets:
                        seen.update(str(move) for move, count in one.customers.items() if count)
                        seen[f"mrr {one.unit}"] += bool(one.end_minor)
                seen.update(row.role for row in revenue_rows(span))
                seen.update(
                    f"back {row.role}" for row in revenue_rows(span) if row.amount.amount_minor < 0
                )
                seen.update(f"{row.amount.asset} {row.rail}" for row in revenue_rows(span))
                for part in Part:
                    seen[str(part)] += takings(span).count(part)
                seen["joined"] += found.joined_count
                seen["converted"] += found.converted_count
                seen["promotional"] += Transfer.objects.filter(code="promotion").count()
            transaction.set_rollback(True)
    for name in (
        "new", "expansion", "contraction", "churn", "reactivation", "mrr USD", "mrr CREDIT",
        "mrr XTR", "sales", "platform_fee", "back sales", "back platform_fee", "USD card",
        "USD chain", "XTR stars", "CREDIT wallet", "received", "refunded", "disputed", "failed",
        "failing", "joined", "converted",
    ):  # fmt: skip
        assert seen[name], (name, seen)
