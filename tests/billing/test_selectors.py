"""Balances, orders and spending: what is read, and nothing is written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from pytest_django import DjangoAssertNumQueries

from accounts.models import Customer
from billing import ledger, selectors
from billing.models import Code, LedgerAccount, Order, OrderStatus
from billing.money import CREDIT, FLUX, USD, Money
from billing.selectors import State
from billing.services import orders, refunds
from common import clock
from common.errors import NotFound
from common.pagination import CursorInvalid
from tests.billing.fakes import FakeRail
from tests.factories import NOW, make_customer, make_order, make_payment, make_wallet

pytestmark = pytest.mark.django_db

NOTHING = Money(0, CREDIT)


def of_credits(whole: int) -> Money:
    return Money(whole * CREDIT.unit_minor, CREDIT)


def owner_of(wallet: LedgerAccount) -> Customer:
    assert wallet.owner is not None
    return wallet.owner


def bonus(wallet: LedgerAccount, whole: int, key: str, expires_at: datetime | None = None) -> None:
    ledger.grant(
        wallet,
        whole * CREDIT.unit_minor,
        code=Code.PROMOTION,
        key=key,
        group=key,
        occurred_at=NOW,
        origin=key,
        promotional=True,
        expires_at=expires_at,
    )


# -- balances -------------------------------------------------------------------------------------


def test_who_never_had_any_has_nothing_and_nothing_is_written() -> None:
    customer = make_customer()

    assert selectors.balance(customer) == selectors.Balance(NOTHING, NOTHING, NOTHING)
    assert selectors.lots(customer) == []
    assert selectors.statement(selectors.wallet(customer), limit=5).rows == []
    assert not LedgerAccount.objects.filter(owner=customer).exists()


def test_what_has_expired_is_not_spendable_though_no_sweeper_came() -> None:
    wallet = make_wallet(credits_minor=of_credits(100).amount_minor)
    bonus(wallet, 50, "soon", NOW + timedelta(hours=1))

    with clock.frozen(NOW):
        assert selectors.credit_balance(owner_of(wallet)) == of_credits(150)
    with clock.frozen(NOW + timedelta(hours=1)):
        assert selectors.credit_balance(owner_of(wallet)) == of_credits(100)


def test_what_is_held_is_not_spendable() -> None:
    wallet = make_wallet(credits_minor=of_credits(100).amount_minor)

    ledger.reserve(wallet, 30_000_000, code=Code.USAGE, key="h", deadline_at=None, occurred_at=NOW)

    balance = selectors.balance(owner_of(wallet))
    assert (balance.spendable, balance.held) == (of_credits(70), of_credits(30))


def test_debt_is_shown_as_what_is_owed() -> None:
    wallet = make_wallet(credits_minor=of_credits(100).amount_minor)

    ledger.claw_back(wallet, 150_000_000, key="c", group="c", occurred_at=NOW)

    balance = selectors.balance(owner_of(wallet))
    assert (balance.spendable, balance.debt) == (NOTHING, of_credits(50))


def test_a_balance_takes_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    wallet = make_wallet(credits_minor=1)
    for number in range(10):
        bonus(wallet, 1, f"lot{number}")
    customer = owner_of(wallet)

    with django_assert_num_queries(1):
        selectors.balance(customer)


def test_lots_come_in_the_order_they_burn() -> None:
    wallet = make_wallet(credits_minor=1_000_000)
    bonus(wallet, 2, "late", NOW + timedelta(days=30))
    bonus(wallet, 3, "early", NOW + timedelta(days=3))
    bonus(wallet, 4, "gone", NOW - timedelta(days=1))

    with clock.frozen(NOW):
        rows = selectors.lots(owner_of(wallet))

    assert [row.remaining for row in rows] == [of_credits(3), of_credits(2), of_credits(1)]
    assert [row.expires_soon for row in rows] == [True, False, False]
    assert [row.is_promotional for row in rows] == [True, True, False]


def test_other_units_are_shown_when_there_are_any() -> None:
    customer = make_customer()
    make_wallet(customer=customer, credits_minor=5)
    flux = ledger.wallet(customer, FLUX)
    ledger.grant(flux, 50, code=Code.PURCHASE, key="f", group="f", occurred_at=NOW, origin="pass")

    assert selectors.other_balances(customer) == [Money(50, FLUX)]
    assert selectors.balance(customer, FLUX).spendable == Money(50, FLUX)


# -- orders and payments --------------------------------------------------------------------------


def state_of(order: Order) -> State:
    return selectors.purchase(order.customer, order.pk).state


def test_an_order_says_how_it_stands(rail: FakeRail) -> None:
    order = make_order()
    assert state_of(order) == State.OPEN

    make_payment(order)

    assert state_of(order) == State.DELIVERED


@pytest.mark.parametrize(
    ("status", "state"),
    [(OrderStatus.EXPIRED, State.EXPIRED), (OrderStatus.FAILED, State.FAILED)],
)
def test_an_order_that_came_to_nothing_says_so(
    rail: FakeRail, status: OrderStatus, state: State
) -> None:
    order = make_order()

    orders.lapse(order.pk, status)

    assert state_of(order) == state


def test_an_open_order_whose_page_has_closed_is_overdue_not_expired(rail: FakeRail) -> None:
    order = make_order(expires_at=NOW)

    with clock.frozen(NOW + timedelta(seconds=1)):
        assert state_of(order) == State.OVERDUE
        assert selectors.open_orders(order.customer) == 0
    with clock.frozen(NOW):
        assert state_of(order) == State.OPEN
        assert selectors.open_orders(order.customer) == 1


def test_a_paid_order_that_could_not_be_delivered_says_so(rail: FakeRail) -> None:
    order = make_order(snapshot={})

    make_payment(order)

    assert state_of(order) == State.UNDELIVERED


def test_refunds_show_from_request_to_end(rail: FakeRail) -> None:
    order = make_order()
    payment = make_payment(order)
    part = refunds.request(payment.pk, reason="r", amount_minor=2_00)
    assert state_of(order) == State.REFUND_PENDING

    refunds.send(part.pk)
    assert state_of(order) == State.REFUNDED_IN_PART
    assert selectors.purchase(order.customer, order.pk).refunded == Money(2_00, USD)

    refunds.send(refunds.request(payment.pk, reason="r").pk)
    assert state_of(order) == State.REFUNDED


def test_an_order_is_only_shown_to_its_customer(rail: FakeRail) -> None:
    order = make_order()
    payment = make_payment(order)

    with pytest.raises(NotFound):
        selectors.purchase(make_customer(), order.pk)
    with pytest.raises(NotFound):
        selectors.receipt(make_customer(), payment.pk)


@override_settings(UNAPPLIED_POLICY="hold")
def test_money_that_fits_no_order_is_listed_with_its_reason_until_it_is_gone(
    rail: FakeRail,
) -> None:
    order = make_order()
    make_payment(order)
    second = make_payment(order)

    held = selectors.unapplied(order.customer)
    assert held.totals == [Money(5_00, USD)]
    assert [row.note for row in held.payments] == ["The order was already paid."]
    rows, _ = selectors.purchases(order.customer, limit=10)
    assert [(row.id, row.state) for row in rows] == [
        (second.pk, State.UNAPPLIED),
        (order.pk, State.DELIVERED),
    ]

    refunds.send(refunds.request(second.pk, reason="r", amount_minor=2_00).pk)
    assert selectors.unapplied(order.customer).totals == [Money(3_00, USD)]
    refunds.send(refunds.request(second.pk, reason="r").pk)
    assert selectors.unapplied(order.customer).payments == []
    assert selectors.purchases(order.customer, limit=1)[0][0].state == State.REFUNDED


def test_money_that_became_credits_is_listed_as_such(rail: FakeRail) -> None:
    order = make_order()
    make_payment(order)
    make_payment(order)

    row = selectors.purchases(order.customer, limit=1)[0][0]

    assert row.title == "Extra payment, turned into 2,500 credits"
    assert row.note == "The order was already paid."
    assert row.total == Money(5_00, USD)


@override_settings(UNAPPLIED_POLICY="hold")
def test_pages_of_purchases_follow_each_other(rail: FakeRail) -> None:
    customer = make_customer()
    for number in range(7):
        order = make_order(customer=customer)
        make_payment(order)
        if number % 2:
            make_payment(order)
    whole, _ = selectors.purchases(customer, limit=100)

    paged, cursor = selectors.purchases(customer, limit=3)
    while cursor:
        make_order(customer=customer)  # what comes meanwhile repeats and hides nothing
        more, cursor = selectors.purchases(customer, limit=3, cursor=cursor)
        paged += more

    assert len(whole) == 10
    assert [row.id for row in paged] == [row.id for row in whole]


@pytest.mark.parametrize("cursor", ["x", "0", "é", "01a1fafa-c12c-7f8a-b4cf-31a32da7579"])
def test_a_made_up_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        selectors.purchases(make_customer(), limit=1, cursor=cursor)


def test_purchases_take_three_queries_however_many(
    rail: FakeRail, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    customer = make_customer()
    for _ in range(5):
        make_payment(make_order(customer=customer))

    with django_assert_num_queries(3):
        rows, _ = selectors.purchases(customer, limit=50)
        assert all(row.payment for row in rows)


# -- spending -------------------------------------------------------------------------------------


def spend(wallet: LedgerAccount, whole: int, at: datetime) -> str:
    key = f"spend:{whole}:{at.isoformat()}"
    ledger.spend(wallet, whole * 1_000_000, code=Code.USAGE, key=key, occurred_at=at)
    return key


def test_a_day_has_what_was_spent_on_it_in_the_customers_own_time() -> None:
    tokyo = make_customer(time_zone="Asia/Tokyo")
    wallet = make_wallet(customer=tokyo, credits_minor=of_credits(1000).amount_minor)
    spend(wallet, 5, datetime(2026, 11, 4, 16, 0, tzinfo=UTC))  # 01:00 on the 5th there
    spend(wallet, 7, datetime(2026, 11, 5, 3, 0, tzinfo=UTC))
    spend(wallet, 9, datetime(2026, 10, 31, 14, 59, tzinfo=UTC))  # still October there

    with clock.frozen(NOW):
        month = selectors.this_month(tokyo, wallet)

    spent = {day.on: day.spent for day in month.days if day.spent}
    assert spent == {date(2026, 11, 5): of_credits(12)}
    assert (month.starts_on, month.total) == (date(2026, 11, 1), of_credits(12))
    assert len(month.days) == 30


def test_what_was_given_back_was_not_spent_and_what_expired_neither() -> None:
    wallet = make_wallet(credits_minor=of_credits(100).amount_minor)
    bonus(wallet, 50, "gone", NOW - timedelta(minutes=1))
    key = spend(wallet, 30, NOW - timedelta(hours=1))
    ledger.unwind(key, 10_000_000, code=Code.USAGE_REFUND, key="back", group="b", occurred_at=NOW)
    ledger.expire(occurred_at=NOW)

    with clock.frozen(NOW):
        assert selectors.this_month(owner_of(wallet), wallet).total == of_credits(20)


def test_a_month_without_a_wallet_is_empty() -> None:
    customer = make_customer()

    with clock.frozen(datetime(2028, 2, 10, tzinfo=UTC)):
        month = selectors.this_month(customer, None)

    assert (len(month.days), month.total) == (29, NOTHING)


def test_whole_days_are_counted_in_the_customers_zone() -> None:
    filters = selectors.Filters.for_days(
        kind="usage",
        since=date(2026, 3, 29),
        until=date(2026, 3, 29),
        zone=ZoneInfo("Europe/Berlin"),
    )

    assert filters.since == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert filters.until == datetime(2026, 3, 29, 22, 0, tzinfo=UTC)  # 23 hours: clocks went on
