"""Orders paid from credits: one debit each, refunds into the lots they came from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from billing import ledger, selectors
from billing.errors import (
    AlreadySubscribed,
    InDebt,
    InsufficientFunds,
    NotRefundable,
    SpendCapReached,
)
from billing.models import (
    Lot,
    Order,
    OrderStatus,
    Payment,
    RefundState,
    Subscription,
)
from billing.money import CREDIT, USD, Money
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.services import purchases, rails, refunds
from common import clock
from common.clock import FrozenClock
from common.errors import InvalidInput, NotFound
from tests.billing.prepaid import (
    BASIC,
    ONE,
    balance_of,
    bought,
    differences,
    give,
    only_subscription,
    ordered,
    refunded,
    rich,
    spendable,
)
from tests.factories import NOW, make_customer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now", "wallet_rail")]

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _books_add_up() -> Iterator[None]:
    yield
    assert differences() == []


# -- paying ---------------------------------------------------------------------------------------


def test_it_is_there_without_any_key() -> None:
    from django.apps import apps

    rails.clear()
    apps.get_app_config("billing").ready()

    assert rails.named("wallet").assets == (CREDIT,)


def test_paying_takes_the_price_once_and_delivers() -> None:
    customer = rich(20_000 * ONE)
    order = ordered(customer)

    first = paying.pay(customer, order.pk)
    second = paying.pay(customer, order.pk)

    order.refresh_from_db()
    assert first == second
    assert spendable(customer) == 20_000 * ONE - BASIC
    assert (order.status, order.delivered_at) == (OrderStatus.PAID, NOW)
    assert only_subscription(customer).plan_slug == "basic"
    assert balance_of("clearing:wallet") == 0
    assert balance_of("deferred") == BASIC


def test_the_pay_page_is_ours_and_open_for_a_day() -> None:
    order = ordered(rich())

    assert order.pay_url.endswith(f"/billing/orders/{order.pk}/wallet")
    assert order.expires_at == NOW + DAY


def test_too_few_credits_move_nothing_and_leave_the_order_payable() -> None:
    customer = rich(BASIC - 1)
    order = ordered(customer)

    with pytest.raises(InsufficientFunds):
        paying.pay(customer, order.pk)

    assert spendable(customer) == BASIC - 1
    assert not Payment.objects.exists()
    give(customer, 1)
    assert paying.pay(customer, order.pk).amount == Money(BASIC, CREDIT)


def test_somebody_who_owes_pays_that_first() -> None:
    customer = make_customer()
    ledger.claw_back(ledger.wallet(customer, CREDIT), 5, key="k", group="g", occurred_at=NOW)
    give(customer, BASIC + 4, promotional=True)
    order = ordered(customer)

    with pytest.raises(InDebt):
        paying.pay(customer, order.pk)

    assert not Payment.objects.exists()


def test_the_customers_own_cap_holds() -> None:
    customer = rich()
    ledger.set_spend_cap(
        ledger.wallet(customer, CREDIT), BASIC - 1, anchor_at=NOW, zone="UTC", at=NOW
    )
    order = ordered(customer)

    with pytest.raises(SpendCapReached):
        paying.pay(customer, order.pk)

    assert not Payment.objects.exists()


def test_an_order_of_another_customer_is_not_there() -> None:
    order = ordered(rich())

    with pytest.raises(NotFound):
        paying.pay(rich(), order.pk)


def test_an_order_for_another_rail_is_not_paid_from_credits(wallet_rail: WalletRail) -> None:
    order = Order.objects.create(
        customer=rich(),
        rail="card",
        product_kind="credit_pack",
        product_slug="small",
        product_name="Small",
        snapshot={},
        asset="USD",
        subtotal_minor=5_00,
    )

    with pytest.raises(paying.PaidOtherwise):
        paying.pay(order.customer, order.pk)


def test_credit_packs_are_not_sold_for_credits() -> None:
    with pytest.raises(InvalidInput) as refusal:
        purchases.package("small", rail="wallet")

    assert refusal.value.code == "not_sold_that_way"


def test_an_order_lapses_after_a_day(now: FrozenClock, wallet_rail: WalletRail) -> None:
    customer = rich()
    order = ordered(customer)
    now.move(DAY + timedelta(seconds=1))

    with pytest.raises(paying.OrderClosed):
        paying.pay(customer, order.pk)
    wallet_rail.refresh(order)

    order.refresh_from_db()
    assert order.status == OrderStatus.EXPIRED
    assert spendable(customer) == 10**6 * ONE


def test_an_order_in_time_does_not_lapse(wallet_rail: WalletRail) -> None:
    order = ordered(rich())

    wallet_rail.refresh(order)

    order.refresh_from_db()
    assert order.is_open


def test_a_second_first_order_from_another_tab_takes_nothing() -> None:
    customer = rich()
    first, second = ordered(customer), ordered(customer)
    paying.pay(customer, first.pk)
    left = spendable(customer)

    with pytest.raises(AlreadySubscribed):
        paying.pay(customer, second.pk)

    assert spendable(customer) == left
    assert Subscription.objects.filter(customer=customer).count() == 1


def test_the_bill_says_what_will_be_left_or_missing() -> None:
    customer = rich(BASIC + 7)
    order = ordered(customer)

    enough = paying.bill(customer, order.pk)
    ledger.spend(ledger.wallet(customer, CREDIT), 10, code="usage", key="used", occurred_at=NOW)
    short = paying.bill(customer, order.pk)

    assert (enough.refusal, enough.after.amount_minor, enough.missing.amount_minor) == (None, 7, 0)
    assert isinstance(short.refusal, InsufficientFunds)
    assert short.missing.amount_minor == 3
    assert not Payment.objects.exists()


def test_dollars_behind_the_credits_are_earned_as_they_are_spent() -> None:
    customer = make_customer()
    give(customer, BASIC * 2, cost=60_00)

    bought(customer)
    ledger.recognise(occurred_at=NOW)

    assert balance_of("sales", USD) == 30_00


# -- refunds --------------------------------------------------------------------------------------


def test_a_refund_gives_the_unspent_share_back_to_the_lots(now: FrozenClock) -> None:
    customer = rich(BASIC)
    payment = bought(customer)
    period = only_subscription(customer).periods.get()
    now.at = NOW + (period.ends_at - NOW) / 4

    refund = refunded(payment)

    assert refund.state == RefundState.SUCCEEDED
    assert refund.amount_minor == spendable(customer) == BASIC * 3 // 4
    assert Lot.objects.filter(account__owner=customer).count() == 1
    assert balance_of("clearing:wallet") == 0
    assert only_subscription(customer).status == "ended"


def test_units_of_an_expired_lot_come_back_for_thirty_days(now: FrozenClock) -> None:
    customer = make_customer()
    give(customer, BASIC, expires_at=NOW + DAY)
    payment = bought(customer)
    now.move(2 * DAY)
    ledger.expire(occurred_at=clock.now())

    refunded(payment, BASIC // 2)

    lot = Lot.objects.get(account__owner=customer, replaces__isnull=False)
    assert lot.remaining_minor == BASIC // 2
    assert lot.expires_at == clock.now() + 30 * DAY


def test_many_part_refunds_give_back_no_more_than_was_paid(now: FrozenClock) -> None:
    customer = rich(BASIC)
    payment = bought(customer)

    refunded(payment, 7)
    refunded(payment, 11)
    refunded(payment)

    assert spendable(customer) == BASIC
    assert balance_of("deferred") == 0
    with pytest.raises(NotRefundable):
        refunds.request(payment.pk, reason="again", amount_minor=1, forced=True)


def test_a_refund_whose_booking_a_crash_prevented_is_booked_once(wallet_rail: WalletRail) -> None:
    customer = rich(BASIC)
    payment = bought(customer)
    refund = refunds.request(payment.pk, reason="asked", amount_minor=100)
    wallet_rail.send_refund(refund)  # and the process dies here
    assert differences() == []

    refund.refresh_from_db()
    refund.attempts = 1
    refund.save(update_fields=["attempts"])
    refunds.send(refund.pk)

    refund.refresh_from_db()
    assert refund.state == RefundState.SUCCEEDED
    assert spendable(customer) == 100


def test_looking_for_a_refund_that_was_not_made_finds_nothing(wallet_rail: WalletRail) -> None:
    payment = bought(rich(BASIC))
    refund = refunds.request(payment.pk, reason="asked", amount_minor=100)

    assert wallet_rail.find_refund(refund) is None


# -- what the customer reads ----------------------------------------------------------------------


def test_the_statement_says_what_was_paid_and_what_came_back() -> None:
    customer = rich(BASIC)
    refunded(bought(customer), 100)

    rows = selectors.statement(selectors.wallet(customer), limit=10).rows

    told = [(row.kind, row.description, row.amount.amount_minor) for row in rows[:2]]
    assert told == [
        ("order", "Refunded to your credits: Basic, per month", 100),
        ("order", "Paid with credits: Basic, per month", -BASIC),
    ]


def test_the_month_counts_what_plans_cost_less_what_came_back() -> None:
    customer = rich(BASIC)
    refunded(bought(customer), 100)

    month = selectors.this_month(customer, selectors.wallet(customer))

    assert month.total.amount_minor == BASIC - 100


def test_the_transactions_show_the_plan_and_its_price_in_credits() -> None:
    customer = rich()
    bought(customer)

    (row,), _ = selectors.purchases(customer, limit=5)

    assert (row.title, str(row.total)) == ("Basic, per month", "14,995 credits")
    assert row.state == "delivered"
