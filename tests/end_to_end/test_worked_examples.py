"""DESIGN §12 to the unit, on the live sandbox: signed webhooks in, real refunds out."""

from __future__ import annotations

from billing import ledger
from billing.models import Code, Order, Payment, Refund, RefundState
from billing.money import CREDIT
from common import clock
from tests.end_to_end import books
from tests.end_to_end.till import Till

CREDITS = CREDIT.unit_minor


def bought_and_partly_spent(till: Till) -> Payment:
    """Examples 1 and 2: a $5 pack with $0.99 tax, of which 1,000 credits are spent."""
    order = till.buy(tax_minor=99)
    wallet = till.wallet(order.customer)
    ledger.spend(
        wallet, 1_000 * CREDITS, code=Code.USAGE, key=f"test:{order.pk}", occurred_at=clock.now()
    )
    ledger.recognise(occurred_at=clock.now())
    return Payment.objects.get(order=order)


def order_of(payment: Payment) -> Order:
    assert payment.order is not None
    return payment.order


def test_example_1_a_pack_is_bought_with_tax(till: Till) -> None:
    order = till.buy(tax_minor=99)

    assert till.moves(f"order:{order.pk}") == [
        ("clearing:card", "deferred", 5_00),
        ("clearing:card", "tax", 99),
        ("issued", "wallet", 2_500 * CREDITS),
    ]
    [lot] = till.wallet(order.customer).lots.all()
    assert (lot.cost_minor, lot.cost_asset) == (5_00, "USD")
    assert till.spendable(order.customer) == 2_500 * CREDITS
    books.assert_agree(till)


def test_example_2_what_is_spent_is_recognised(till: Till) -> None:
    order = till.buy(tax_minor=99)
    mark = till.mark()

    ledger.spend(
        till.wallet(order.customer),
        1_000 * CREDITS,
        code=Code.USAGE,
        key=f"test:{order.pk}",
        occurred_at=clock.now(),
    )
    ledger.recognise(occurred_at=clock.now())

    assert till.moves_since(mark) == [
        ("wallet", "consumed", 1_000 * CREDITS),
        ("deferred", "sales", 2_00),
    ]
    assert till.spendable(order.customer) == 1_500 * CREDITS


def test_example_3_the_unspent_share_is_refunded(till: Till) -> None:
    payment = bought_and_partly_spent(till)
    customer = order_of(payment).customer

    refund = till.refund(payment)

    assert (refund.amount_minor, refund.tax_minor) == (3_59, 59)
    assert refund.state == RefundState.SUCCEEDED
    assert till.moves(f"refund:{refund.pk}") == [
        ("wallet", "revoked", 1_500 * CREDITS),
        ("deferred", "clearing:card", 3_00),
        ("tax", "clearing:card", 59),
    ]
    assert (till.spendable(customer), till.owed(customer)) == (0, 0)
    books.assert_agree(till)


def test_a_refund_that_waits_is_booked_when_its_webhook_confirms_it(till: Till) -> None:
    payment = bought_and_partly_spent(till)
    till.control("settings", refund_outcome="pending")
    try:
        refund = till.refund(payment)
    finally:
        till.control("settings", refund_outcome="succeeded")
    assert refund.state == RefundState.SENT
    assert till.moves(f"refund:{refund.pk}") == []
    assert till.spendable(order_of(payment).customer) == 0
    books.assert_agree(till)

    till.control(f"refunds/{refund.external_id}/settle", outcome="succeeded")
    till.settle_down()

    refund.refresh_from_db()
    assert refund.state == RefundState.SUCCEEDED
    assert till.moves(f"refund:{refund.pk}") == [
        ("wallet", "revoked", 1_500 * CREDITS),
        ("deferred", "clearing:card", 3_00),
        ("tax", "clearing:card", 59),
    ]
    books.assert_agree(till)


def test_a_refund_that_fails_gives_the_credits_back(till: Till) -> None:
    payment = bought_and_partly_spent(till)
    customer = order_of(payment).customer
    refund = till.refund(payment)

    till.control(f"refunds/{refund.external_id}/settle", outcome="failed")
    till.settle_down()

    refund.refresh_from_db()
    assert refund.state == RefundState.FAILED
    assert till.spendable(customer) == 1_500 * CREDITS
    assert till.wallet(customer).lots.get().refunded_minor == 0
    books.assert_agree(till)
    assert till.refund(payment).amount_minor == 3_59


def test_example_4_a_forced_full_refund_leaves_a_debt_that_the_next_purchase_pays(
    till: Till,
) -> None:
    payment = bought_and_partly_spent(till)
    customer = order_of(payment).customer

    refund = till.refund(payment, amount_minor=5_99, forced=True)

    assert sorted(till.moves(f"refund:{refund.pk}")) == [
        ("debt", "revoked", 1_000 * CREDITS),
        ("deferred", "clearing:card", 3_00),
        ("sales", "clearing:card", 2_00),
        ("tax", "clearing:card", 99),
        ("wallet", "revoked", 1_500 * CREDITS),
    ]
    assert (till.spendable(customer), till.owed(customer)) == (0, 1_000 * CREDITS)

    next_order = till.buy(customer)

    assert till.moves(f"order:{next_order.pk}") == [
        ("clearing:card", "deferred", 5_00),
        ("issued", "wallet", 2_500 * CREDITS),
        ("wallet", "debt", 1_000 * CREDITS),
    ]
    assert (till.spendable(customer), till.owed(customer)) == (1_500 * CREDITS, 0)
    books.assert_agree(till)


def test_example_4_in_two_steps_takes_the_same(till: Till) -> None:
    payment = bought_and_partly_spent(till)
    till.refund(payment)

    rest = till.refund(payment, amount_minor=2_40, forced=True)

    assert sorted(till.moves(f"refund:{rest.pk}")) == [
        ("debt", "revoked", 1_000 * CREDITS),
        ("sales", "clearing:card", 2_00),
        ("tax", "clearing:card", 40),
    ]
    assert Refund.objects.filter(payment=payment).count() == 2
    books.assert_agree(till)
