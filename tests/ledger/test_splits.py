"""Splits against exact fractions: any refunds, some of which fail, with payouts in between."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from billing import ledger
from billing.errors import IdempotencyMismatch
from billing.models import LedgerAccount, Split, Transfer
from billing.money import USD, Money
from billing.selectors import audit
from billing.services import splits
from tests.factories import NOW, make_customer

_numbers = itertools.count(1)

ACTS = ["refund", "refund", "fail", "pay out", "earn", "net"]
# What happens next, and how much of what is there it takes.
steps = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 99)),
    max_size=12,
)


class Sale:
    """One sale and its refunds: the creator's exact share of each, and what was booked."""

    def __init__(self, net: int, bps: int) -> None:
        self.creator = make_customer()
        self.clearing = ledger.system_account("clearing:card", USD)
        self.net = net
        self.split = splits.book(
            f"sale:{next(_numbers)}",
            net=Money(net, USD),
            creator=self.creator,
            rule=splits.Rule(bps, "any"),
            source=self.clearing,
            at=NOW,
        )
        self.share = net * bps // 10_000
        self.refunds: dict[str, tuple[int, int]] = {}
        self.had_failure = False

    def owns(self, role: str) -> int:
        found = LedgerAccount.objects.filter(owner=self.creator, role=role, asset="USD").first()
        return (found.balance_minor or 0) if found else 0

    def refund(self, part: int) -> None:
        key = f"{self.split.key}:refund:{next(_numbers)}"
        before = self.taken
        for _ in range(2):  # the second time changes nothing
            splits.reverse(
                self.split.key,
                refund_key=key,
                refunded_net_minor=part,
                target="clearing:card",
                at=NOW,
            )
        booked = Transfer.objects.filter(key__startswith=f"{key}:").select_related("source")
        from_creator = sum(t.amount_minor for t in booked if t.source.role != "platform_fee")
        assert sum(t.amount_minor for t in booked) == part
        assert 0 <= from_creator <= part
        if not self.had_failure:
            exact = Fraction(self.share * (before[0] + part), self.net)
            assert from_creator == round(exact) - before[1]  # Python rounds half to even
        self.refunds[key] = (part, from_creator)

    def fail(self, key: str) -> None:
        self.had_failure = True
        for _ in range(2):
            splits.restore(self.split.key, refund_key=key, at=NOW)
        del self.refunds[key]

    def move(self, source: str, target: str, amount: int) -> None:
        if amount:
            accounts = {
                "creator": ledger.balance_account(self.creator, "creator", USD),
                "creator_debt": ledger.debt_account(self.creator, "creator_debt", USD),
                "payout": ledger.system_account("payout", USD),
                "clearing:card": self.clearing,
            }
            leg = ledger.Leg(
                accounts[source], accounts[target], amount, "payout", f"move:{next(_numbers)}"
            )
            ledger.post([leg], group="payout", occurred_at=NOW)

    @property
    def taken(self) -> tuple[int, int]:
        """Refunded so far, and what of it came from the creator."""
        booked = self.refunds.values()
        return sum(part for part, _ in booked), sum(creator for _, creator in booked)

    def check(self, paid_out: int) -> None:
        self.split.refresh_from_db()
        refunded, from_creator = self.taken
        assert self.split.refunded_net_minor == refunded
        assert self.split.reversed_creator_minor == from_creator
        assert refunded - from_creator <= self.net - self.share
        assert self.owns("creator") + self.owns("creator_debt") == (
            self.share - from_creator - paid_out
        )


class AnySale(TestCase):
    @settings(max_examples=30, deadline=None)
    # Refunds that took nothing from the creator fail, one after the other.
    @example(net=10, bps=5_000, steps=[("refund", 0)] * 10 + [("fail", n) for n in (0, 2, 2, 4, 4)])
    # What the creator owed was paid before the refund failed.
    @example(
        net=10,
        bps=9_000,
        steps=[("pay out", 99), ("refund", 9), ("earn", 20), ("net", 0), ("fail", 0)],
    )
    @given(net=st.integers(1, 60), bps=st.integers(0, 10_000), steps=steps)
    def test_shares_follow_exact_fractions(
        self, net: int, bps: int, steps: list[tuple[str, int]]
    ) -> None:
        sale = Sale(net, bps)
        assert (sale.split.creator_minor, sale.owns("creator")) == (sale.share, sale.share)
        paid_out = 0
        for step, pick in [*steps, ("refund", -1)]:
            left = net - sale.taken[0]
            if step == "refund" and left:
                sale.refund(left if pick < 0 else 1 + pick % left)
            if step == "fail" and sale.refunds:
                sale.fail(list(sale.refunds)[pick % len(sale.refunds)])
            if step == "pay out":
                part = sale.owns("creator") * pick // 99
                sale.move("creator", "payout", part)
                paid_out += part
            if step == "earn":
                sale.move("clearing:card", "creator", pick)
                paid_out -= pick
            if step == "net":
                part = min(sale.owns("creator"), -sale.owns("creator_debt"))
                sale.move("creator", "creator_debt", part)
            sale.check(paid_out)
        assert sale.taken == (net, sale.share)
        assert audit.differences(at=NOW) == []


@pytest.mark.django_db
def test_a_refund_key_of_another_refund_is_refused() -> None:
    first, second = Sale(10, 9000), Sale(10, 9000)
    first.refund(5)
    (key,) = first.refunds

    for sale, part in [(first, 4), (second, 5)]:
        with pytest.raises(IdempotencyMismatch):
            splits.reverse(
                sale.split.key,
                refund_key=key,
                refunded_net_minor=part,
                target="clearing:card",
                at=NOW,
            )
    assert Split.objects.get(key=second.split.key).refunded_net_minor == 0
