"""Stories with a point, told to the ledger and the oracle alike; every act is compared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.ledger.books import Debit
from tests.ledger.keyed_machine import LedgerMachine

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
CHECKED = [
    "every_unit_is_somewhere",
    "every_cent_of_a_cost_is_somewhere",
    "purchased_units_are_not_free_while_the_owner_owes",
    "every_asset_nets_to_zero",
    "the_audit_finds_nothing",
]


@pytest.fixture
def m() -> Iterator[LedgerMachine]:
    machine = LedgerMachine()
    yield machine
    for name in CHECKED:
        getattr(machine, name)()
    machine.teardown()


def buy(m: LedgerMachine, amount: int, cost: int = 0, days: int | None = None) -> int:
    m.purchase("ada", amount, cost, None if days is None else days * DAY, 0)
    return len(m.oracle.lots) - 1


def spend(m: LedgerMachine, amount: int) -> str:
    key = m.key()
    m.act("spend", "ada", amount, code="usage", key=key)
    return key


def use(m: LedgerMachine, amount: int, owed_on: str = "debt") -> str:
    """Usage that already happened."""
    key = m.key()
    m.act("spend_many", [Debit("ada", amount, "usage", key, owed_on)])
    return key


def unwind(m: LedgerMachine, key: str, amount: int) -> None:
    m.act("unwind", key, amount, code="usage_refund", key=m.key())


def reserve(m: LedgerMachine, amount: int) -> int:
    m.reserve("ada", amount, DAY, "usage")
    return len(m.oracle.holds) - 1


def test_what_comes_free_pays_the_debt(m: LedgerMachine) -> None:
    buy(m, 100)
    released, expiring, captured = reserve(m, 30), reserve(m, 30), reserve(m, 40)
    m.act("claw_back", "ada", 50, key=m.key())

    m.act("release", released)
    assert m.oracle.owed("ada") == 20
    m.act("capture", captured, 35, key=m.key())
    assert m.oracle.owed("ada") == 15
    m.time_passes(DAY)
    m.act("expire_holds")
    assert (m.oracle.owed("ada"), m.oracle.holds[expiring].state) == (0, "expired")


def test_promotional_units_pay_no_debt_and_returned_ones_do(m: LedgerMachine) -> None:
    m.promotion("ada", 50, None)
    first = spend(m, 20)
    buy(m, 40)
    second = use(m, 100)
    assert m.oracle.owed("ada") == 30
    m.promotion("ada", 50, None)
    buy(m, 10)
    assert m.oracle.owed("ada") == 20

    unwind(m, first, 20)
    assert m.oracle.owed("ada") == 20
    unwind(m, second, 30)
    assert m.oracle.owed("ada") == 0


def test_a_spend_of_purchased_units_unwound_pays_the_debt(m: LedgerMachine) -> None:
    buy(m, 40)
    key = spend(m, 40)
    m.act("claw_back", "ada", 25, key=m.key())

    unwind(m, key, 40)

    assert m.oracle.owed("ada") == 0
    assert sum(lot.free for lot in m.oracle.spendable("ada", m.now)) == 15


def test_what_was_owed_comes_back_first_and_the_newest_payment_of_it(m: LedgerMachine) -> None:
    buy(m, 10)
    key = use(m, 60)
    lots = [buy(m, 20), buy(m, 20)]

    unwind(m, key, 25)

    assert [m.oracle.lots[lot].remaining for lot in lots] == [0, 15]
    unwind(m, key, 30)
    assert [lot.remaining for lot in m.oracle.lots] == [5, 20, 20]
    unwind(m, key, 5)
    unwind(m, key, 1)


def test_an_accrued_amount_that_was_invoiced_comes_back_as_a_lot(m: LedgerMachine) -> None:
    key = use(m, 60, "accrued")
    m.settle("ada", 45, "accrued")

    unwind(m, key, 40)

    assert [(lot.granted, lot.cost) for lot in m.oracle.lots] == [(25, 0)]


def test_units_return_newest_use_first_and_expired_ones_for_30_days(m: LedgerMachine) -> None:
    buy(m, 10, 33, days=1)
    buy(m, 10, 33, days=2)
    buy(m, 10, 33)
    key = spend(m, 25)
    m.recognise()
    m.the_very_moment_comes(0)

    unwind(m, key, 3)
    assert [lot.remaining for lot in m.oracle.lots] == [0, 0, 8]
    unwind(m, key, 21)
    assert [lot.remaining for lot in m.oracle.lots] == [0, 10, 10, 9]
    assert m.oracle.lots[3].expires_at == m.now + 30 * DAY
    m.recognise()
    m.the_very_moment_comes(0)
    m.act("expire")
    m.recognise()
    unwind(m, key, 1)


def test_a_refund_takes_deferred_money_then_breakage_then_sales(m: LedgerMachine) -> None:
    lot = buy(m, 10, 100, days=1)
    spend(m, 4)
    m.recognise()
    m.the_very_moment_comes(0)
    m.act("refund_cost", lot, 5, target="clearing:card", key=m.key())
    m.act("expire")
    m.recognise()
    assert (m.oracle.lots[lot].sales, m.oracle.lots[lot].breakage) == (40, 55)

    m.act("refund_cost", lot, 60, target="clearing:card", key=m.key())
    assert (m.oracle.lots[lot].sales, m.oracle.lots[lot].breakage) == (35, 0)
    m.act("unrefund_cost", lot, 50, source="clearing:card", key=m.key())
    m.recognise()
    assert (m.oracle.lots[lot].sales, m.oracle.lots[lot].breakage) == (40, 45)
    m.act("unrefund_cost", lot, 16, source="clearing:card", key=m.key())


def test_booked_revenue_goes_back_with_returned_units(m: LedgerMachine) -> None:
    lot = buy(m, 9, 100)
    key = spend(m, 9)
    m.recognise()

    unwind(m, key, 5)

    assert (m.oracle.lots[lot].sales, m.oracle.lots[lot].deferred) == (44, 56)


def test_a_batch_takes_lots_of_one_day_promotional_first(m: LedgerMachine) -> None:
    buy(m, 10, days=7)
    m.promotion("ada", 10, 7 * DAY)
    m.act("spend_many", [Debit("ada", 4, "usage", m.key()), Debit("ada", 9, "usage", m.key())])

    assert [lot.remaining for lot in m.oracle.lots] == [7, 0]


def test_a_cap_counts_by_months_of_its_anchor(m: LedgerMachine) -> None:
    buy(m, 1_000)
    m.now = datetime(2027, 12, 30, 12, 0, tzinfo=UTC)
    spend(m, 30)
    anchor = datetime(2027, 10, 31, 1, 30, tzinfo=UTC)
    m.act("set_cap", "ada", 100, anchor_at=anchor, zone="Europe/Berlin")
    for _ in range(35):  # four months, through short ones and a change of the clocks
        spend(m, 40)
        known = len(m.oracle.holds)
        reserve(m, 25)
        m.now += timedelta(hours=83)
        if len(m.oracle.holds) > known:
            m.act("capture", known, 10, key=m.key())
        use(m, 1)
    assert len(m.oracle.cap_used) == 5


def test_setting_a_cap_counts_what_was_spent_and_is_held(m: LedgerMachine) -> None:
    buy(m, 500)
    spend(m, 100)
    first = reserve(m, 40)
    m.now += 20 * DAY
    spend(m, 10)
    reserve(m, 5)
    m.act("set_cap", "ada", 30, anchor_at=m.now - 3 * DAY, zone="UTC")
    spend(m, 16)
    spend(m, 15)
    m.act("set_cap", "ada", None, anchor_at=m.now, zone="UTC")
    spend(m, 50)
    m.act("set_cap", "ada", 250, anchor_at=m.now - 25 * DAY, zone="UTC")
    m.act("release", first)
    spend(m, 71)
    spend(m, 70)


def test_a_pin_replayed_may_ask_for_more_than_was_free_but_not_for_less(m: LedgerMachine) -> None:
    lot, key = buy(m, 10), m.key()
    spend(m, 3)

    for amount in (9, 7, 8, 6):
        m.act("pin", lot, amount, key=key)

    assert [hold.amount for hold in m.oracle.holds] == [7]
