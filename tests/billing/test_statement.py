"""The statement: every movement once, with the true balance after it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from billing import ledger, selectors
from billing.models import Code, DisputeState, LedgerAccount
from billing.money import CREDIT, Money
from billing.selectors import Filters, Kind, StatementRow
from billing.selectors.statements import reference_group
from billing.services import disputes, refunds
from common import clock
from common.pagination import CursorInvalid
from tests.billing.fakes import FakeRail
from tests.factories import NOW, make_claim, make_order, make_payment, make_wallet

pytestmark = pytest.mark.django_db


def spend(wallet: LedgerAccount, amount_minor: int, key: str, reference: str = "") -> None:
    ledger.spend(
        wallet,
        amount_minor,
        code=Code.USAGE,
        key=f"{wallet.pk}:{key}",
        group=reference_group(wallet.owner_id, reference) if reference else None,
        occurred_at=NOW,
    )


def busy_wallet() -> LedgerAccount:
    """1,000 in, nine spends of 1 to 9 with a grant of 100 in their midst."""
    wallet = make_wallet(credits_minor=1000)
    for number in range(1, 10):
        spend(wallet, number, f"u{number}")
        if number == 5:
            make_wallet(customer=wallet.owner, credits_minor=100)
    wallet.refresh_from_db()
    return wallet


def numbers(rows: list[StatementRow]) -> list[tuple[int, int]]:
    return [(row.amount.amount_minor, row.balance.amount_minor) for row in rows]


WHOLE = [
    (-9, 1055),
    (-8, 1064),
    (-7, 1072),
    (-6, 1079),
    (100, 1085),
    (-5, 985),
    (-4, 990),
    (-3, 994),
    (-2, 997),
    (-1, 999),
    (1000, 1000),
]


def test_each_row_has_its_signed_amount_and_the_balance_after_it() -> None:
    wallet = busy_wallet()

    page = selectors.statement(wallet, limit=50)

    assert numbers(list(page.rows)) == WHOLE
    assert page.rows[0].balance == wallet.balance
    assert page.next_cursor is None


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10])
def test_pages_add_up_to_the_whole_while_more_is_booked(limit: int) -> None:
    wallet = busy_wallet()
    page = selectors.statement(wallet, limit=limit)
    rows = list(page.rows)

    turn = 0
    while page.next_cursor:
        turn += 1
        spend(wallet, 1, f"meanwhile{turn}")
        page = selectors.statement(wallet, limit=limit, cursor=page.next_cursor)
        rows += page.rows

    assert numbers(rows) == WHOLE


def test_reading_all_of_it_in_batches_is_the_same() -> None:
    assert numbers(list(selectors.all_rows(busy_wallet(), batch=4))) == WHOLE


def test_a_filter_hides_rows_and_keeps_their_balances() -> None:
    wallet = busy_wallet()

    bought = selectors.statement(wallet, limit=50, filters=Filters(kind=Kind.PURCHASE))

    assert numbers(list(bought.rows)) == [(100, 1085), (1000, 1000)]
    used = list(selectors.all_rows(wallet, filters=Filters(kind=Kind.USAGE), batch=2))
    assert numbers(used) == [row for row in WHOLE if row[0] < 0]


def test_days_are_a_filter_too() -> None:
    wallet = busy_wallet()
    moments = [row.booked_at for row in selectors.statement(wallet, limit=50).rows]

    middle = Filters(since=moments[7], until=moments[3])

    assert numbers(list(selectors.statement(wallet, limit=50, filters=middle).rows)) == WHOLE[4:8]
    later = Filters(since=timezone.now() + timedelta(days=1))
    assert selectors.statement(wallet, limit=50, filters=later).rows == []


def test_a_clock_that_runs_ahead_dates_rows_and_days_by_itself() -> None:
    wallet = make_wallet(credits_minor=1000)
    month, today = timedelta(days=30), timezone.now()
    for number in range(1, 4):
        with clock.travel(month * number):
            ledger.spend(
                wallet,
                number,
                code=Code.USAGE,
                key=f"{wallet.pk}:ahead{number}",
                occurred_at=clock.now(),
            )

    with clock.travel(month * 3):
        rows = selectors.statement(wallet, limit=50).rows
        second = Filters(since=today + month * 1.5, until=today + month * 2.5)
        since = Filters(since=today + month * 1.5)

        assert [round((row.booked_at - today) / month) for row in rows[:3]] == [3, 2, 1]
        assert numbers(list(rows)) == [(-3, 994), (-2, 997), (-1, 999), (1000, 1000)]
        assert numbers(list(selectors.all_rows(wallet, filters=second, batch=1))) == [(-2, 997)]
        found = list(selectors.all_rows(wallet, filters=since, batch=1))
        assert numbers(found) == [(-3, 994), (-2, 997)]


def test_a_kind_that_is_not_ours_is_other() -> None:
    wallet = make_wallet(credits_minor=10)
    ledger.spend(wallet, 3, code="agent_sale", key="a", occurred_at=NOW)

    row = selectors.statement(wallet, limit=1, filters=Filters(kind=Kind.OTHER)).rows[0]

    assert (row.kind, row.description) == (Kind.OTHER, "Agent sale")


def test_rows_say_what_they_were_for(rail: FakeRail) -> None:
    order = make_order()
    payment = make_payment(order)
    wallet = ledger.wallet(order.customer, CREDIT)
    spend(wallet, 1_000_000_000, "u", reference="job 7")
    refunds.send(refunds.request(payment.pk, reason="secret reason").pk)

    rows = selectors.statement(wallet, limit=10).rows

    assert [(row.description, row.order_id) for row in rows] == [
        ("Taken back with a refund: Small credit pack", order.pk),
        ("Used: job 7", None),
        ("Bought: Small credit pack", order.pk),
    ]
    assert rows[0].amount == Money(-1_500_000_000, CREDIT)


def test_a_charge_back_is_no_refund(rail: FakeRail) -> None:
    order = make_order()
    payment = make_payment(order)
    disputes.record(payment.pk, make_claim(DisputeState.LOST))

    row = selectors.statement(ledger.wallet(order.customer, CREDIT), limit=1).rows[0]

    assert row.description == "Taken back: the payment was charged back: Small credit pack"
    assert (row.kind, row.order_id) == (Kind.REFUND, order.pk)


def test_a_reference_cannot_pass_for_somebody_elses() -> None:
    wallet = make_wallet(credits_minor=10)
    other = make_wallet()
    ledger.spend(
        wallet,
        1,
        code=Code.USAGE,
        key="u",
        group=reference_group(other.owner_id, "theirs"),
        occurred_at=NOW,
    )

    assert selectors.statement(wallet, limit=1).rows[0].description == "Used"


def test_a_cursor_is_ours_and_of_this_wallet() -> None:
    wallet, other = busy_wallet(), busy_wallet()
    cursor = selectors.statement(wallet, limit=2).next_cursor
    assert cursor is not None

    for wrong in (cursor[:-2], cursor + "A", "x", "é:ü", ":" * 9, "\x00"):
        with pytest.raises(CursorInvalid):
            selectors.statement(wallet, limit=2, cursor=wrong)
    with pytest.raises(CursorInvalid):
        selectors.statement(other, limit=2, cursor=cursor)


def test_a_statement_takes_as_many_queries_as_a_row_of_it(
    rail: FakeRail, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    order = make_order()
    payment = make_payment(order)
    refunds.send(refunds.request(payment.pk, reason="r", amount_minor=1_00).pk)
    for _ in range(6):
        another = make_payment(make_order(customer=order.customer))
        refunds.send(refunds.request(another.pk, reason="r", amount_minor=1_00).pk)
    wallet = ledger.wallet(order.customer, CREDIT)

    with django_assert_num_queries(1):
        rows = selectors.statement(wallet, limit=50).rows

    assert len(rows) == 14
