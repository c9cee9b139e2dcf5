"""Splits: 90/10 to the cent, and refunds that reach the creator's share."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import Customer
from billing import ledger
from billing.errors import ExceedsOriginal, IdempotencyMismatch
from billing.models import LedgerAccount, Split, Transfer
from billing.money import USD, Money
from billing.services import splits
from tests.factories import NOW, make_customer

pytestmark = pytest.mark.django_db

NINETY = splits.Rule(creator_bps=9000, version="2026-11")
_numbers = itertools.count(1)


def sell(creator: Customer, net_minor: int, rule: splits.Rule = NINETY) -> Split:
    """A sale by card, shared."""
    return splits.book(
        f"payment:sale{next(_numbers)}",
        net=Money(net_minor, USD),
        creator=creator,
        rule=rule,
        source=ledger.system_account("clearing:card", USD),
        at=NOW,
    )


def refund(split: Split, net_minor: int, key: str | None = None) -> list[tuple[str, int]]:
    """Refund part of a sale; what came out of which account."""
    key = key or f"refund:{next(_numbers)}"
    splits.reverse(
        split.key, refund_key=key, refunded_net_minor=net_minor, target="clearing:card", at=NOW
    )
    rows = Transfer.objects.filter(key__startswith=f"{key}:").select_related("source")
    return [(row.source.role, row.amount_minor) for row in rows.order_by("pk")]


def creator_balance(creator: Customer, role: str = "creator") -> int:
    """What the creator has earned, or owes."""
    account = LedgerAccount.objects.get(owner=creator, role=role, asset="USD")
    return int(account.balance_minor or 0)


def test_a_ten_dollar_agent_is_shared_as_in_example_5() -> None:
    creator = make_customer()

    split = sell(creator, 10_00)

    assert (split.creator_minor, split.platform_minor) == (9_00, 1_00)
    assert creator_balance(creator) == 9_00
    assert split.rule_version == "2026-11"


def test_two_halves_of_ten_cents_go_back_as_in_example_6() -> None:
    split = sell(make_customer(), 10)

    assert refund(split, 5) == [("creator", 4), ("platform_fee", 1)]
    assert refund(split, 5) == [("creator", 5)]


def test_booking_again_shares_once() -> None:
    creator = make_customer()
    split = sell(creator, 10_00)
    clearing = ledger.system_account("clearing:card", USD)

    again = splits.book(
        split.key, net=Money(10_00, USD), creator=creator, rule=NINETY, source=clearing, at=NOW
    )

    assert again.pk == split.pk
    assert creator_balance(creator) == 9_00
    with pytest.raises(IdempotencyMismatch):
        splits.book(
            split.key, net=Money(9_00, USD), creator=creator, rule=NINETY, source=clearing, at=NOW
        )


def test_reversing_again_takes_back_once() -> None:
    creator = make_customer()
    split = sell(creator, 10_00)

    refund(split, 5_00, key="refund:once")
    refund(split, 5_00, key="refund:once")

    assert creator_balance(creator) == 4_50


def test_what_the_creator_has_spent_becomes_their_debt() -> None:
    creator = make_customer()
    split = sell(creator, 10_00)
    payout = ledger.system_account("payout", USD)
    account = ledger.balance_account(creator, "creator", USD)
    ledger.post(
        [ledger.Leg(account, payout, 6_00, "payout", "payout:1")], group="payout:1", occurred_at=NOW
    )

    refund(split, 10_00)

    assert creator_balance(creator) == 0
    assert creator_balance(creator, "creator_debt") == -6_00


def test_no_more_goes_back_than_was_sold() -> None:
    split = sell(make_customer(), 10_00)

    with pytest.raises(ExceedsOriginal):
        refund(split, 10_01)
    with pytest.raises(ExceedsOriginal):
        refund(split, 0)


class AnyRefunds(TestCase):
    """However a sale is refunded, nothing is lost to rounding and no share is overdrawn."""

    @settings(max_examples=40, deadline=None)
    @given(
        net=st.integers(1, 100_000),
        bps=st.integers(0, 10_000),
        cuts=st.lists(st.integers(1, 50_000), max_size=8),
    )
    def test_shares_add_up(self, net: int, bps: int, cuts: list[int]) -> None:
        creator = make_customer()
        split = sell(creator, net, splits.Rule(bps, "any"))
        left = net
        for cut in [*cuts, net]:
            part = min(cut, left)
            if part:
                assert sum(amount for _, amount in refund(split, part)) == part
                left -= part
        split.refresh_from_db()
        assert split.creator_minor == net * bps // 10_000
        assert split.reversed_creator_minor == split.creator_minor
        assert creator_balance(creator) == 0
