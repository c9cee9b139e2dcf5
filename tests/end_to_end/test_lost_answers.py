"""Calls to Stripe whose answer is lost or that fail: what was meant happens exactly once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from billing.errors import RailUnavailable
from billing.models import (
    EventState,
    InboundEvent,
    Order,
    Payment,
    RailCustomer,
    Refund,
    RefundState,
)
from billing.services import orders, purchases, refunds
from common import clock
from tests.end_to_end import books
from tests.end_to_end.till import Till, wait_until

# The library tries a call three times by itself before it gives up.
THRICE = 3

however_the_answer_is_lost = pytest.mark.parametrize(
    "how",
    [
        {"answer": "cut", "when": "after"},
        {"answer": "cut", "when": "before"},
        {"answer": "500", "when": "after"},
        {"answer": "500", "when": "before"},
        {"answer": "503", "when": "before"},
        {"answer": "429", "when": "before"},
    ],
    ids=lambda how: f"{how['answer']} {how['when']} the effect",
)


@pytest.fixture(autouse=True)
def no_faults_left(till: Till) -> Iterator[None]:
    yield
    till.control("faults/clear")
    till.settle_down()
    books.assert_agree(till)


def fail(till: Till, path: str, **how: Any) -> None:
    """Let the next attempts of a call fail, with the library's own retries."""
    till.control("faults", kind="api", method="POST", path=path, count=THRICE, **how)


def tried_again(till: Till, refund: Refund) -> bool:
    """Whether the refund is through; makes it due, which beat would do in a while."""
    waiting = Refund.objects.filter(pk=refund.pk, state=RefundState.REQUESTED)
    waiting.exclude(last_error="").update(next_attempt_at=clock.now())
    till.sweep()
    refund.refresh_from_db()
    return refund.state == RefundState.SUCCEEDED


def made_at_stripe(payment: Payment) -> list[int]:
    """The amounts of the refunds that Stripe has of a payment."""
    found = stripe.Refund.list(payment_intent=payment.external_id, limit=100)
    return [one.amount for one in found.data]


@however_the_answer_is_lost
def test_a_refund_is_made_once_whatever_becomes_of_the_answer(
    till: Till, how: dict[str, str]
) -> None:
    order = till.buy()
    payment = Payment.objects.get(order=order)
    with till.holding():  # so that no webhook tells what the answer did not
        fail(till, "/v1/refunds", **how)
        refund = refunds.request(payment.pk, reason="a test", amount_minor=2_00)

        wait_until(
            lambda: Refund.objects.get(pk=refund.pk).last_error, till.unfinished, till.portal
        )
        wait_until(lambda: tried_again(till, refund), till.unfinished, till.portal)

    assert made_at_stripe(payment) == [2_00]
    assert refund.booked_at is not None


def test_a_refund_whose_answer_is_lost_is_booked_by_its_webhook(till: Till) -> None:
    order = till.buy()
    payment = Payment.objects.get(order=order)
    fail(till, "/v1/refunds", answer="cut", when="after")

    refund = refunds.request(payment.pk, reason="a test", amount_minor=2_00)

    wait_until(
        lambda: Refund.objects.get(pk=refund.pk).state == RefundState.SUCCEEDED,
        till.unfinished,
        till.portal,
    )
    till.settle_down()
    assert made_at_stripe(payment) == [2_00]


def test_a_refund_that_stripe_refuses_has_failed_and_says_why(till: Till) -> None:
    order = till.buy()
    payment = Payment.objects.get(order=order)
    with till.holding():
        stripe.Refund.create(payment_intent=payment.external_id)

        refund = refunds.request(payment.pk, reason="a test")
        wait_until(
            lambda: Refund.objects.get(pk=refund.pk).state == RefundState.FAILED,
            till.unfinished,
            till.portal,
        )

    till.settle_down()
    refund.refresh_from_db()
    assert "already been refunded" in refund.failure
    assert till.spendable(order.customer) == till.owed(order.customer) == 0


def test_a_refund_made_at_stripe_in_the_room_of_one_that_failed_is_booked_at_once(
    till: Till,
) -> None:
    order = till.buy()
    payment = Payment.objects.get(order=order)
    ours = till.refund(payment)
    with till.holding():
        till.control(f"refunds/{ours.external_id}/settle", outcome="failed")
        theirs = stripe.Refund.create(payment_intent=payment.external_id)
        [news] = till.held(type="refund.created", object=theirs.id)

        till.deliver(news)
        till.settle_down()

        event = InboundEvent.objects.get(external_id=news["event"])
        assert (event.state, event.attempts) == (EventState.HANDLED, 1)
        states = Refund.objects.filter(payment=payment).order_by("pk")
        assert [one.state for one in states] == [RefundState.FAILED, RefundState.SUCCEEDED]


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/checkout/sessions"])
def test_a_pay_page_is_made_once_although_the_first_answer_was_lost(till: Till, path: str) -> None:
    customer = till.customer()
    item = purchases.package("small", rail="card")
    order = orders.open_order(customer, item, rail="card")
    fail(till, path, answer="cut", when="after")
    with pytest.raises(RailUnavailable):
        orders.pay_url(order)
    assert Order.objects.get(pk=order.pk).pay_url == ""

    address = orders.pay_url(order)

    assert address.startswith(till.portal.sandbox_url)
    known = RailCustomer.objects.get(customer=customer).external_id
    made = stripe.checkout.Session.list(customer=known, limit=10)
    assert [session.id for session in made.data] == [order.external_id]
    assert len(stripe.Customer.list(email=customer.email, limit=10).data) == 1
    till.pay(order.external_id)
