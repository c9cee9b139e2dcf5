"""Money that fits no open order: twice, too late, of another amount. Every cent stays in sight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from billing.models import Order, OrderStatus, Payment, RailCustomer, RefundState
from billing.money import CREDIT
from billing.services import orders, unapplied
from tests import live
from tests.accounts.factories import signed_in
from tests.billing.staff import sign_in, words
from tests.end_to_end import books
from tests.end_to_end import till as tills
from tests.end_to_end.till import Till

CREDITS = CREDIT.unit_minor


@pytest.fixture(scope="module")
def holding_portal() -> Iterator[live.Portal]:
    """A portal whose staff decides about money that fits nothing."""
    with live.Portal(env={"UNAPPLIED_POLICY": "hold"}) as running:
        yield running


@pytest.fixture
def strict_till(holding_portal: live.Portal) -> Iterator[Till]:
    """A till at the portal that holds."""
    with tills.at(holding_portal) as opened:
        yield opened


def lapsed(till: Till) -> tuple[Order, str]:
    """An order whose own page expired unpaid, and another page of it that is still open."""
    order = till.order()
    late = till.another_session(order)
    stripe.checkout.Session.expire(order.external_id)
    till.settle_down()
    order.refresh_from_db()
    assert order.status == OrderStatus.EXPIRED
    return order, late


def newest_payment(order: Order) -> Payment:
    """The payment of that order's customer that came last."""
    found = order.customer.payments.order_by("-pk").first()
    assert found is not None
    return found


def test_example_8_an_order_paid_twice_becomes_credits(till: Till) -> None:
    order = till.buy()
    again = till.another_session(order)
    mark = till.mark()

    till.pay(again)
    till.settle_down()

    assert till.moves_since(mark) == [
        ("clearing:card", "unapplied", 5_00),
        ("unapplied", "deferred", 5_00),
        ("issued", "wallet", 2_500 * CREDITS),
    ]
    payment = newest_payment(order)
    assert payment.unapplied_reason == "The order was already paid."
    assert payment.order is not None
    assert payment.order.from_unapplied
    assert [lot.cost_minor for lot in till.wallet(order.customer).lots.all()] == [5_00, 5_00]
    assert till.spendable(order.customer) == 5_000 * CREDITS
    books.assert_agree(till)


def test_only_the_net_of_a_second_payment_buys_credits(till: Till) -> None:
    order = till.buy()
    again = till.another_session(order)
    mark = till.mark()

    till.pay(again, tax_minor=99)
    till.settle_down()

    assert till.moves_since(mark) == [
        ("clearing:card", "unapplied", 5_99),
        ("unapplied", "deferred", 5_00),
        ("unapplied", "tax", 99),
        ("issued", "wallet", 2_500 * CREDITS),
    ]
    books.assert_agree(till)


def test_a_second_payment_that_became_credits_is_refunded(till: Till) -> None:
    order = till.buy()
    till.pay(till.another_session(order), tax_minor=99)
    till.settle_down()

    refund = till.refund(newest_payment(order))

    assert (refund.state, refund.amount_minor) == (RefundState.SUCCEEDED, 5_99)
    assert sorted(till.moves(f"refund:{refund.pk}")) == [
        ("deferred", "clearing:card", 5_00),
        ("tax", "clearing:card", 99),
        ("wallet", "revoked", 2_500 * CREDITS),
    ]
    assert till.spendable(order.customer) == 2_500 * CREDITS
    books.assert_agree(till)


def test_an_order_paid_late_becomes_credits(till: Till) -> None:
    order, late = lapsed(till)

    till.pay(late)
    till.settle_down()

    assert newest_payment(order).unapplied_reason == "The order was already not paid in time."
    assert till.unapplied(order.customer) == 0
    assert till.spendable(order.customer) == 2_500 * CREDITS
    books.assert_agree(till)


def test_an_order_paid_after_its_bank_debit_failed_becomes_credits(till: Till) -> None:
    order = till.order()
    second = till.another_session(order)
    assert till.pay(order.external_id, method="bank_debit") == "processing"
    till.control(f"sessions/{order.external_id}/settle", outcome="failed")
    till.settle_down()
    order.refresh_from_db()
    assert order.status == OrderStatus.FAILED

    till.pay(second)
    till.settle_down()

    assert till.spendable(order.customer) == 2_500 * CREDITS
    books.assert_agree(till)


def test_a_session_whose_subtotal_differs_becomes_credits_and_leaves_the_order_open(
    till: Till,
) -> None:
    order = till.order()

    till.pay(till.another_session(order, subtotal_minor=7_00), tax_minor=50)
    till.settle_down()

    payment = newest_payment(order)
    assert payment.unapplied_reason == "The amount differs from the order's."
    assert till.spendable(order.customer) == 3_500 * CREDITS
    order.refresh_from_db()
    assert order.is_open
    books.assert_agree(till)
    till.pay(order.external_id)
    till.settle_down()
    assert till.spendable(order.customer) == 6_000 * CREDITS
    books.assert_agree(till)


def test_what_another_customer_pays_is_theirs(till: Till) -> None:
    order, payer = till.order(), till.customer()

    till.pay(till.another_session(order, customer=payer))
    till.settle_down()

    order.refresh_from_db()
    assert order.is_open
    assert till.spendable(order.customer) == 0
    assert till.spendable(payer) == 2_500 * CREDITS
    books.assert_agree(till)


def test_by_the_other_policy_a_second_payment_stays_until_it_is_refunded(
    strict_till: Till,
) -> None:
    till = strict_till
    order = till.buy()
    mark = till.mark()
    till.pay(till.another_session(order), tax_minor=99)
    till.settle_down()
    assert till.moves_since(mark) == [("clearing:card", "unapplied", 5_99)]
    assert till.unapplied(order.customer) == 5_99
    books.assert_agree(till)
    payment = newest_payment(order)
    assert payment.order is None

    part = till.refund(payment, amount_minor=2_00)
    rest = till.refund(payment)

    assert till.moves(f"refund:{part.pk}") == [("unapplied", "clearing:card", 2_00)]
    assert till.moves(f"refund:{rest.pk}") == [("unapplied", "clearing:card", 3_99)]
    assert till.unapplied(order.customer) == 0
    assert till.spendable(order.customer) == 2_500 * CREDITS
    books.assert_agree(till)


def test_what_is_held_is_shown_to_the_customer_and_to_staff(strict_till: Till) -> None:
    till = strict_till
    person, staff = signed_in(), sign_in()
    order = till.buy(person.customer)
    till.pay(till.another_session(order), tax_minor=99)
    till.settle_down()

    dashboard = words(person.get("/billing/"))
    listed = words(staff.get("/admin/billing/unappliedpayment/"))

    assert "We hold money of yours that fits no order: $5.99" in dashboard
    assert "The order was already paid." in dashboard
    assert person.customer.email in listed
    assert "$5.99" in listed
    assert "The order was already paid." in listed


def test_what_became_credits_is_shown_to_the_customer_and_to_staff(till: Till) -> None:
    person, staff = signed_in(), sign_in()
    order = till.buy(person.customer)
    till.pay(till.another_session(order, subtotal_minor=7_00))
    till.settle_down()
    payment = newest_payment(order)

    statement = words(person.get("/billing/statement"))
    shown = words(staff.get(f"/admin/billing/payment/{payment.pk}/change/"))

    assert "+3,500 credits" in statement
    assert "The order was already paid." in shown


def test_what_is_held_becomes_credits_when_staff_say_so(strict_till: Till) -> None:
    till = strict_till
    order, late = lapsed(till)
    till.pay(late, tax_minor=99)
    till.settle_down()
    assert till.unapplied(order.customer) == 5_99
    assert till.spendable(order.customer) == 0

    payment = unapplied.apply_as_credits(newest_payment(order).pk)

    assert till.unapplied(order.customer) == 0
    assert till.spendable(order.customer) == 2_500 * CREDITS
    books.assert_agree(till)
    refund = till.refund(payment)
    assert refund.amount_minor == 5_99
    assert till.spendable(order.customer) == 0
    books.assert_agree(till)


def test_a_refund_of_held_money_that_fails_puts_it_back(strict_till: Till) -> None:
    till = strict_till
    order = till.order()
    till.pay(till.another_session(order, subtotal_minor=4_00))
    till.settle_down()
    refund = till.refund(newest_payment(order))
    assert till.unapplied(order.customer) == 0

    till.control(f"refunds/{refund.external_id}/settle", outcome="failed")
    till.settle_down()

    assert till.unapplied(order.customer) == 4_00
    books.assert_agree(till)


def test_a_payment_of_an_unknown_payer_waits_for_staff(strict_till: Till) -> None:
    till = strict_till
    stranger = stripe.Customer.create(email="stranger@example.com")
    session = stripe.checkout.Session.create(
        mode="payment",
        customer=stranger.id,
        line_items=[
            {
                "quantity": 1,
                "price_data": {
                    "currency": "usd",
                    "unit_amount": 5_00,
                    "product_data": {"name": "Something"},
                },
            }
        ],
        success_url=f"{till.portal.url}/",
    )
    mark = till.mark()

    till.pay(session.id)
    till.settle_down()

    assert till.moves_since(mark) == [("clearing:card", "unapplied:unknown", 5_00)]
    payment = Payment.objects.get(customer=None)
    assert payment.unapplied_reason == "It names no order."
    payer = till.customer()
    unapplied.assign(payment.pk, payer)
    RailCustomer.objects.create(rail="card", customer=payer, external_id=stranger.id)
    assert till.moves_since(mark)[1:] == [("unapplied:unknown", "unapplied", 5_00)]
    assert till.unapplied(payer) == 5_00
    books.assert_agree(till)


def test_an_order_that_lapses_after_its_payment_stays_paid(till: Till) -> None:
    order = till.buy()

    orders.lapse(order.pk, OrderStatus.EXPIRED)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
