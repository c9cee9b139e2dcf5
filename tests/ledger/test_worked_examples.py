"""The worked examples of docs/ledger.md, as far as the ledger alone carries them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from billing import ledger
from billing.errors import InDebt
from billing.models import Hold, LedgerAccount, Lot, Transfer
from billing.money import CREDIT
from tests.ledger.conftest import NOW, MakeWallet, buy

pytestmark = pytest.mark.django_db

CREDITS = CREDIT.unit_minor
LATER = NOW + timedelta(days=40)


def moves(since: int) -> list[tuple[str, str, int]]:
    rows = Transfer.objects.filter(pk__gt=since).select_related("source", "target").order_by("pk")
    return [(row.source.role, row.target.role, row.amount_minor) for row in rows]


def last() -> int:
    newest = Transfer.objects.order_by("-pk").first()
    return newest.pk if newest else 0


@pytest.fixture
def sold(make_wallet: MakeWallet) -> tuple[LedgerAccount, Lot]:
    """Examples 1 and 2: a pack of 2,500 for 5.00, of which 1,000 are spent and earned."""
    wallet = make_wallet()
    before = last()
    lot = buy(wallet, 2_500 * CREDITS, key="pack", cost=5_00)
    assert moves(before) == [
        ("clearing:card", "deferred", 5_00),
        ("issued", "wallet", 2_500 * CREDITS),
    ]
    before = last()
    ledger.spend(wallet, 1_000 * CREDITS, code="usage", key="work", occurred_at=NOW)
    ledger.recognise(occurred_at=NOW)
    assert moves(before) == [
        ("wallet", "consumed", 1_000 * CREDITS),
        ("deferred", "sales", 2_00),
    ]
    return wallet, lot


def refund_unspent(lot: Lot) -> None:
    hold = ledger.pin(lot, 2_500 * CREDITS, key="pin", group="refund", occurred_at=NOW)
    assert isinstance(hold, Hold)
    ledger.capture(hold, hold.amount_minor, target="revoked", key="take", occurred_at=NOW)
    ledger.refund_cost(
        lot, 3_00, target="clearing:card", key="money", group="refund", occurred_at=NOW
    )


def test_3_the_unspent_share_is_refunded(sold: tuple[LedgerAccount, Lot]) -> None:
    before = last()

    refund_unspent(sold[1])

    assert moves(before) == [
        ("wallet", "revoked", 1_500 * CREDITS),
        ("deferred", "clearing:card", 3_00),
    ]


def test_4_the_whole_is_refunded_and_the_next_pack_pays_the_debt(
    sold: tuple[LedgerAccount, Lot],
) -> None:
    wallet, lot = sold
    refund_unspent(lot)
    before = last()

    ledger.claw_back(wallet, 1_000 * CREDITS, key="owed", group="refund", occurred_at=NOW)
    ledger.refund_cost(
        lot, 2_00, target="clearing:card", key="rest", group="refund", occurred_at=NOW
    )
    with pytest.raises(InDebt), transaction.atomic():
        ledger.spend(wallet, 1, code="usage", key="too early", occurred_at=NOW)
    buy(wallet, 2_500 * CREDITS, key="next", cost=5_00)

    assert moves(before) == [
        ("debt", "revoked", 1_000 * CREDITS),
        ("sales", "clearing:card", 2_00),
        ("clearing:card", "deferred", 5_00),
        ("issued", "wallet", 2_500 * CREDITS),
        ("wallet", "debt", 1_000 * CREDITS),
    ]
    ledger.spend(wallet, 1_500 * CREDITS, code="usage", key="all of it", occurred_at=NOW)


def test_7_units_of_an_expired_lot_come_back_for_30_days_at_the_same_cost(
    make_wallet: MakeWallet,
) -> None:
    wallet = make_wallet()
    old = buy(wallet, 100, key="short", cost=1_00, expires_at=NOW + timedelta(days=1))
    ledger.spend(wallet, 60, code="usage", key="work", occurred_at=NOW)
    ledger.expire(occurred_at=LATER)
    ledger.recognise(occurred_at=LATER)

    ledger.unwind("work", 30, code="usage_refund", key="back", group="back", occurred_at=LATER)

    old.refresh_from_db()
    assert (old.used_minor, old.revoked_minor, old.expired_minor) == (30, 30, 40)
    assert (old.recognised_minor, old.refunded_minor, old.breakage_minor) == (30, 30, 40)
    new = Lot.objects.get(replaces=old)
    assert (new.granted_minor, new.remaining_minor, new.cost_minor) == (30, 30, 30)
    assert new.expires_at == LATER + timedelta(days=30)
    assert new.origin == old.origin
