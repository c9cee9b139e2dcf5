"""What a lost webhook should have done is found in the provider's own books, and done once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import stripe
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.models import (
    ItemState,
    Order,
    OrderStatus,
    Payment,
    ReconciliationItem,
    Refund,
    RefundState,
    RunOutcome,
)
from billing.money import CREDIT
from billing.services import reconciliations
from common import clock
from tests.end_to_end import books
from tests.end_to_end.till import Till, refusing_inserts

PACK = 2_500 * CREDIT.unit_minor


@pytest.fixture
def deaf(till: Till) -> Iterator[Till]:
    """A till at a portal that no webhook reaches; at the end the books agree all the same."""
    till.settle_down()
    till.control("deliveries/hold")
    yield till
    books.assert_agree(till)
    assert till.unfinished() == []


def reconcile(till: Till) -> list[ReconciliationItem]:
    """What the nightly job finds and repairs; a second look finds nothing more to repair."""
    since = clock.now() - timedelta(hours=48)
    run = reconciliations.run("card", since)
    found = list(run.items.order_by("pk"))
    again = reconciliations.run("card", since)
    assert not again.items.filter(state=ItemState.REPAIRED).exists()
    assert run.outcome in (RunOutcome.CLEAN, RunOutcome.DIFFERENCES), run.note
    return found


def told(items: list[ReconciliationItem]) -> list[tuple[str, str, str]]:
    return [(item.kind, item.subject, item.theirs) for item in items]


def kinds(items: list[ReconciliationItem]) -> list[tuple[str, bool]]:
    return [(item.kind, item.state == ItemState.REPAIRED) for item in items]


def intent_of(order: Order) -> str:
    """The provider's name for the payment of an order."""
    return str(stripe.checkout.Session.retrieve(order.external_id).payment_intent)


def paid(till: Till) -> Payment:
    """A payment that only reconciliation told us of."""
    order = till.order()
    till.pay(order.external_id)
    reconcile(till)
    return Payment.objects.get(order=order)


def test_a_paid_session_is_settled_once(deaf: Till) -> None:
    order = deaf.order()
    deaf.pay(order.external_id, tax_minor=99)

    findings = reconcile(deaf)

    assert told(findings) == [("payment_missing", intent_of(order), "$5.99")]
    assert kinds(findings) == [("payment_missing", True)]
    order.refresh_from_db()
    assert order.delivered_at is not None
    assert deaf.spendable(order.customer) == PACK
    assert Payment.objects.get(order=order).fee_minor == 47


def test_a_webhook_that_comes_after_all_changes_nothing(deaf: Till) -> None:
    order = deaf.order()
    deaf.pay(order.external_id)
    late = deaf.held(object=order.external_id)
    reconcile(deaf)

    for delivery in late:
        assert deaf.deliver(delivery) == 200
    deaf.settle_down()

    assert Payment.objects.filter(order=order).count() == 1
    assert deaf.spendable(order.customer) == PACK


def test_a_bank_debit_that_arrived_is_settled(deaf: Till) -> None:
    order = deaf.order()
    deaf.pay(order.external_id, method="bank_debit")
    assert reconcile(deaf) == []
    deaf.control(f"sessions/{order.external_id}/settle", outcome="succeeded")

    assert kinds(reconcile(deaf)) == [("payment_missing", True)]

    assert deaf.spendable(order.customer) == PACK


def test_a_free_order_is_delivered(deaf: Till) -> None:
    coupon = stripe.Coupon.create(percent_off=100, duration="once")
    stripe.PromotionCode.create(promotion={"type": "coupon", "coupon": coupon.id}, code="GIFT")
    order = deaf.order()
    assert deaf.pay(order.external_id, promotion_code="GIFT") == "free"

    assert kinds(reconcile(deaf)) == [("order_state_differs", True)]

    assert deaf.spendable(order.customer) == PACK
    assert not Payment.objects.filter(order=order).exists()


def test_a_refund_made_at_the_provider_is_booked(deaf: Till) -> None:
    payment = paid(deaf)
    made = stripe.Refund.create(payment_intent=payment.external_id, amount=2_00)

    findings = reconcile(deaf)

    assert told(findings) == [("refund_missing", made.id, "$2.00, succeeded")]
    refund = Refund.objects.get(external_id=made.id)
    assert (refund.state, refund.amount_minor) == (RefundState.SUCCEEDED, 2_00)
    assert payment.customer is not None
    assert deaf.spendable(payment.customer) == 1_500 * CREDIT.unit_minor


def test_a_refund_that_ended_otherwise_is_corrected(deaf: Till) -> None:
    payment = paid(deaf)
    refund = deaf.refund(payment, amount_minor=2_00)
    deaf.control(f"refunds/{refund.external_id}/settle", outcome="failed")

    findings = reconcile(deaf)

    assert kinds(findings) == [("refund_state_differs", True)]
    refund.refresh_from_db()
    assert refund.state == RefundState.FAILED
    assert payment.customer is not None
    assert deaf.spendable(payment.customer) == PACK


def test_a_refund_that_needs_the_room_of_a_failed_one_is_booked_after_it(deaf: Till) -> None:
    payment = paid(deaf)
    refund = deaf.refund(payment)
    deaf.control(f"refunds/{refund.external_id}/settle", outcome="failed")
    made = stripe.Refund.create(payment_intent=payment.external_id)

    findings = reconcile(deaf)

    assert kinds(findings) == [("refund_state_differs", True), ("refund_missing", True)]
    assert Refund.objects.get(external_id=made.id).state == RefundState.SUCCEEDED


def test_a_refund_that_failed_before_we_heard_of_it_is_not_reported(deaf: Till) -> None:
    payment = paid(deaf)
    made = stripe.Refund.create(payment_intent=payment.external_id)
    deaf.control(f"refunds/{made.id}/settle", outcome="failed")

    assert reconcile(deaf) == []

    assert not Refund.objects.filter(external_id=made.id).exists()


def test_a_fee_that_came_later_is_booked(deaf: Till) -> None:
    deaf.control("settings", balance_delay_seconds=-1)
    try:
        payment = paid(deaf)
    finally:
        deaf.control("settings", balance_delay_seconds=0)
    assert payment.fee_minor is None
    intent = stripe.PaymentIntent.retrieve(payment.external_id)
    deaf.control(f"charges/{intent.latest_charge}/settle")

    findings = reconcile(deaf)

    assert told(findings) == [("fee_missing", payment.external_id, "$0.45")]
    payment.refresh_from_db()
    assert payment.fee_minor == 45


def test_one_item_that_fails_does_not_keep_the_others_from_being_repaired(deaf: Till) -> None:
    broken, sound = deaf.order(package="medium"), deaf.order()
    deaf.pay(broken.external_id)
    deaf.pay(sound.external_id)

    with refusing_inserts(deaf.portal, "billing_payment", "NEW.amount_minor = 1000"):
        findings = reconcile(deaf)

    assert kinds(findings) == [("payment_missing", False), ("payment_missing", True)]
    assert "out of order for a test" in findings[0].note
    assert deaf.spendable(sound.customer) == PACK
    assert kinds(reconcile(deaf)) == [("payment_missing", True)]
    assert deaf.spendable(broken.customer) == 2 * PACK


def test_with_stripe_down_it_says_so_and_changes_nothing(deaf: Till) -> None:
    order = deaf.order()
    deaf.pay(order.external_id)
    deaf.control("settings", api="down")
    try:
        done = deaf.portal.manage("reconcile", check=False)
    finally:
        deaf.control("settings", api="up")

    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert not Payment.objects.filter(order=order).exists()
    reconcile(deaf)


def test_the_command_names_what_it_repaired(deaf: Till) -> None:
    order = deaf.order()
    deaf.pay(order.external_id)

    first, second = deaf.portal.manage("reconcile"), deaf.portal.manage("reconcile")

    assert f"payment_missing {intent_of(order)}: Paid at Stripe" in first.stdout
    assert "theirs $5.00 (repaired)" in first.stdout
    assert second.stdout.startswith("card: nothing differs\n")
    assert deaf.spendable(order.customer) == PACK


def test_an_order_whose_page_closed_unseen_expires(deaf: Till) -> None:
    order = deaf.order()
    stripe.checkout.Session.expire(order.external_id)
    assert reconcile(deaf) == []  # its time is not over: the customer may still be on the page
    Order.objects.filter(pk=order.pk).update(expires_at=clock.now())

    findings = reconcile(deaf)

    assert told(findings) == [("order_state_differs", str(order.pk), "expired, unpaid")]
    order.refresh_from_db()
    assert order.status == OrderStatus.EXPIRED


def test_an_order_that_is_overdue_and_was_paid_is_delivered(deaf: Till) -> None:
    order = deaf.order()
    deaf.pay(order.external_id)
    Order.objects.filter(pk=order.pk).update(expires_at=clock.now())

    reconcile(deaf)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert deaf.spendable(order.customer) == PACK


def test_known_things_are_looked_up_together_not_one_by_one(till: Till) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert reconciliations.run("card", clock.now() - timedelta(hours=1)).found_count == 0
        return len(seen)

    def sell(count: int) -> None:
        orders = [till.order() for _ in range(count)]
        for order in orders:
            till.pay(order.external_id)
        till.settle_down()
        for order in orders:
            till.refund(Payment.objects.get(order=order), amount_minor=1_00)

    till.control("deliveries/release")
    sell(1)
    few = queries()
    sell(6)

    # Six payments and six refunds more; a query for each would be twelve.
    assert queries() < few + 6
