"""Refunds: in part, in full, too much; pending, failing, called off."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.server import Sandbox


def refund(sandbox: Sandbox, session: stripe.checkout.Session, amount: int = 0) -> stripe.Refund:
    intent = str(session.payment_intent)
    if not amount:
        return sandbox.api().v1.refunds.create(params={"payment_intent": intent})
    return sandbox.api().v1.refunds.create(params={"payment_intent": intent, "amount": amount})


def charge_of(sandbox: Sandbox, session: stripe.checkout.Session) -> stripe.Charge:
    found = sandbox.api().v1.charges.list(params={"payment_intent": str(session.payment_intent)})
    return found.data[0]


def test_a_partial_refund_leaves_the_rest_refundable(sandbox: Sandbox) -> None:
    session = sandbox.paid(500)

    first = refund(sandbox, session, 200)
    partly = charge_of(sandbox, session)
    rest = refund(sandbox, session)
    wholly = charge_of(sandbox, session)

    assert (first.status, first.amount, rest.amount) == ("succeeded", 200, 300)
    assert (partly.amount_refunded, partly.refunded) == (200, False)
    assert (wholly.amount_refunded, wholly.refunded) == (500, True)
    usd = sandbox.books()["currencies"]["usd"]
    assert (usd["gross"], usd["refunded"], usd["fees"], usd["net"]) == (500, 500, 45, -45)


def test_more_than_is_left_is_refused(sandbox: Sandbox) -> None:
    session = sandbox.paid(500)
    refund(sandbox, session, 400)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        refund(sandbox, session, 101)

    assert "($1.01) is greater than unrefunded amount on charge ($1.00)" in str(caught.value)
    assert caught.value.param == "amount"
    assert charge_of(sandbox, session).amount_refunded == 400


def test_a_charge_is_refunded_once(sandbox: Sandbox) -> None:
    session = sandbox.paid()
    refund(sandbox, session)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        refund(sandbox, session)

    assert caught.value.code == "charge_already_refunded"


def test_what_was_never_paid_cannot_be_refunded(sandbox: Sandbox) -> None:
    session = sandbox.session()
    sandbox.control(f"sessions/{session.id}/pay", card="4000000000000002")
    charge = sandbox.api().v1.charges.list().data[0]

    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api().v1.refunds.create(params={"charge": charge.id})
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api().v1.refunds.create(params={"payment_intent": str(charge.payment_intent)})


def test_a_refund_is_told_and_found_by_its_metadata(sandbox: Sandbox) -> None:
    session = sandbox.paid()
    charge = charge_of(sandbox, session)
    made = sandbox.api().v1.refunds.create(
        params={"charge": charge.id, "metadata": {"refund_id": "7"}, "reason": "duplicate"}
    )

    found = sandbox.api().v1.refunds.list(params={"payment_intent": str(session.payment_intent)})

    shown = [(one.id, one.to_dict()["metadata"]) for one in found.data]
    assert shown == [(made.id, {"refund_id": "7"})]
    assert sandbox.event_types()[-2:] == ["refund.created", "charge.refunded"]
    booked = sandbox.api().v1.balance_transactions.retrieve(str(made.balance_transaction))
    assert (booked.amount, booked.fee, booked.type) == (-500, 0, "refund")


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
def test_a_pending_refund_settles_either_way(sandbox: Sandbox, outcome: str) -> None:
    sandbox.control("settings", refund_outcome="pending")
    session = sandbox.paid()
    made = refund(sandbox, session, 200)
    assert (made.status, made.pending_reason) == ("pending", "processing")
    assert charge_of(sandbox, session).amount_refunded == 200

    settled = sandbox.control(f"refunds/{made.id}/settle", outcome=outcome)

    assert settled["status"] == outcome
    left = 200 if outcome == "succeeded" else 0
    assert charge_of(sandbox, session).amount_refunded == left
    assert sandbox.books()["currencies"]["usd"]["refunded"] == left
    assert ("refund.failed" in sandbox.event_types()) == (outcome == "failed")


def test_a_refund_can_fail_after_it_succeeded(sandbox: Sandbox) -> None:
    session = sandbox.paid()
    made = refund(sandbox, session)

    sandbox.control(f"refunds/{made.id}/settle", outcome="failed", reason="insufficient_funds")

    failed = sandbox.api().v1.refunds.retrieve(
        made.id, params={"expand": ["failure_balance_transaction"]}
    )
    back = failed.failure_balance_transaction
    assert isinstance(back, stripe.BalanceTransaction)
    assert (failed.status, failed.failure_reason) == ("failed", "insufficient_funds")
    assert (back.amount, back.type) == (500, "refund_failure")
    assert refund(sandbox, session).status == "succeeded"
    assert sandbox.books()["currencies"]["usd"]["refunded"] == 500


def test_only_a_refund_that_waits_for_its_recipient_is_called_off(sandbox: Sandbox) -> None:
    session = sandbox.paid()
    done = refund(sandbox, session, 100)
    sandbox.control("settings", refund_outcome="requires_action")
    waiting = refund(sandbox, session, 100)

    refunds = sandbox.api().v1.refunds
    assert refunds.cancel(waiting.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError, match="cannot be canceled"):
        refunds.cancel(done.id)
    assert charge_of(sandbox, session).amount_refunded == 100
    assert sandbox.books()["currencies"]["usd"]["refunded"] == 100


def test_a_settled_refund_cannot_be_settled_again(sandbox: Sandbox) -> None:
    made = refund(sandbox, sandbox.paid())
    sandbox.control(f"refunds/{made.id}/settle", outcome="failed")

    answer = sandbox.http.post(
        f"/_sandbox/stripe/refunds/{made.id}/settle", json={"outcome": "succeeded"}
    )

    assert answer.status_code == 400
    assert "cannot become" in answer.json()["error"]["message"]


def test_the_books_are_kept_by_customer_and_order(sandbox: Sandbox) -> None:
    customer = sandbox.api().v1.customers.create()
    first = sandbox.paid(1000, customer=customer.id, metadata={"order_id": "1"})
    sandbox.paid(700, payment_intent_data={"metadata": {"order_id": "1"}})
    refund(sandbox, first, 250)

    books = sandbox.books()

    assert books["customers"][customer.id]["usd"]["gross"] == 1000
    assert books["customers"][customer.id]["usd"]["refunded"] == 250
    assert books["orders"]["1"]["usd"]["gross"] == 1700
    assert books["orders"]["1"]["usd"]["charge_count"] == 2
