"""Disputes: opened, won, lost; inquiries that close or become chargebacks; what they cost."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.sandbox.disputes import (
    FRAUDULENT,
    INQUIRY,
    NOT_RECEIVED,
    charge_paid,
    dispute,
    evidence,
    moved,
    paid_with,
    refund,
    refusal,
    settle,
    usd,
)
from tests.sandbox.server import SECRET, Listener, Sandbox, listening, wait_for


def test_a_disputed_card_is_charged_back_right_after_the_payment(
    sandbox: Sandbox, listener: Listener
) -> None:
    made = paid_with(sandbox, FRAUDULENT)
    sandbox.until_quiet()

    assert listener.types() == [
        "payment_intent.created",
        "charge.succeeded",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]
    opened, withdrawn = (webhook.event["data"]["object"] for webhook in listener.got[2:4])
    assert opened["balance_transactions"] == []
    [booked] = withdrawn["balance_transactions"]
    assert (booked["amount"], booked["fee"], booked["net"]) == (-500, 1500, -2000)
    assert (booked["type"], booked["reporting_category"]) == ("adjustment", "dispute")
    assert (booked["source"], booked["currency"]) == (made.id, "usd")
    assert sandbox.api().v1.balance_transactions.retrieve(booked["id"]).amount == -500
    assert moved(sandbox) == (500, 500, 0, 1500)
    assert usd(sandbox)["net"] == 500 - 45 - 2000


@pytest.mark.parametrize(
    ("card", "reason", "code", "status", "refundable"),
    [
        (FRAUDULENT, "fraudulent", "10.4", "needs_response", False),
        (NOT_RECEIVED, "product_not_received", "13.1", "needs_response", False),
        (INQUIRY, "fraudulent", "10", "warning_needs_response", True),
    ],
)
def test_each_card_has_its_dispute(
    sandbox: Sandbox, card: str, reason: str, code: str, status: str, *, refundable: bool
) -> None:
    made = paid_with(sandbox, card)
    charge = sandbox.api().v1.charges.retrieve(str(made.charge))

    assert made.id.startswith("du_")
    assert (made.reason, made.network_reason_code, made.status) == (reason, code, status)
    assert made.is_charge_refundable == refundable
    assert (made.amount, made.payment_intent, charge.disputed) == (500, charge.payment_intent, True)
    due_by = made.evidence_details.due_by
    assert due_by
    assert (due_by + 1) % 86_400 == 0
    assert 8 * 86_400 <= due_by - made.created < 9 * 86_400


def test_a_dispute_won_brings_the_amount_back_but_not_the_fee(sandbox: Sandbox) -> None:
    charge = charge_paid(sandbox)
    made = dispute(sandbox, charge, reason="product_unacceptable")
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back") as caught:
        refund(sandbox, charge, 100)

    settle(sandbox, made["id"], "won")

    assert caught.value.code == "charge_disputed"
    won = sandbox.api().v1.disputes.retrieve(made["id"], params={"expand": ["charge"]})
    assert isinstance(won.charge, stripe.Charge)
    assert (won.status, won.is_charge_refundable, won.charge.disputed) == ("won", True, True)
    rows = [(one.amount, one.fee, one.reporting_category) for one in won.balance_transactions]
    assert rows == [(-500, 1500, "dispute"), (500, 0, "dispute_reversal")]
    assert sandbox.event_types()[-2:] == [
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]
    assert moved(sandbox) == (500, 500, 500, 1500)
    assert refund(sandbox, charge, 100).status == "succeeded"
    assert usd(sandbox)["net"] == 500 - 45 - 1500 - 100


@pytest.mark.parametrize("how", ["by control", "by the API"])
def test_a_dispute_lost_keeps_the_money(sandbox: Sandbox, how: str) -> None:
    charge = charge_paid(sandbox)
    made = dispute(sandbox, charge)

    if how == "by control":
        settle(sandbox, made["id"], "lost")
    else:
        sandbox.api().v1.disputes.close(made["id"])

    lost = sandbox.api().v1.disputes.retrieve(made["id"])
    assert (lost.status, lost.is_charge_refundable) == ("lost", False)
    assert sandbox.event_types()[-1] == "charge.dispute.closed"
    assert moved(sandbox) == (500, 500, 0, 1500)
    with pytest.raises(stripe.InvalidRequestError, match="has been charged back"):
        refund(sandbox, charge, 100)


def test_an_inquiry_moves_no_money_until_it_is_escalated(sandbox: Sandbox) -> None:
    made = paid_with(sandbox, INQUIRY)
    assert sandbox.event_types().count("charge.dispute.funds_withdrawn") == 0
    assert moved(sandbox) == (500, 0, 0, 0)

    escalated = settle(sandbox, made.id, "escalated")

    assert (escalated["status"], escalated["network_reason_code"]) == ("needs_response", "10.4")
    assert escalated["payment_method_details"]["card"]["case_type"] == "chargeback"
    assert escalated["is_charge_refundable"] is False
    last = ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]
    assert sandbox.event_types()[-2:] == last
    assert moved(sandbox) == (500, 500, 0, 1500)


def test_an_inquiry_can_close_without_a_trace_in_the_balance(sandbox: Sandbox) -> None:
    charge = charge_paid(sandbox)
    made = dispute(sandbox, charge, inquiry=True)
    refund(sandbox, charge, 100)

    closed = settle(sandbox, made["id"], "warning_closed")

    assert (closed["status"], closed["balance_transactions"]) == ("warning_closed", [])
    assert sandbox.event_types()[-1] == "charge.dispute.closed"
    assert moved(sandbox) == (500, 0, 0, 0)
    assert usd(sandbox)["refunded"] == 100


def test_a_chargeback_overtakes_refunds_made_since_its_inquiry(sandbox: Sandbox) -> None:
    charge = charge_paid(sandbox)
    before = refund(sandbox, charge, 100)
    made = dispute(sandbox, charge, inquiry=True)
    since = refund(sandbox, charge, 150)

    settle(sandbox, made["id"], "escalated")

    found = {one.id: one for one in sandbox.api().v1.refunds.list().data}
    assert found[before.id].status == "succeeded"
    assert found[since.id].status == "failed"
    assert found[since.id].failure_reason == "charge_for_pending_refund_disputed"
    assert moved(sandbox) == (400, 400, 0, 1500)
    assert usd(sandbox)["refunded"] == 100


def test_an_inquiry_into_what_was_refunded_in_full_does_not_escalate(sandbox: Sandbox) -> None:
    charge = charge_paid(sandbox)
    made = dispute(sandbox, charge, inquiry=True)
    refund(sandbox, charge, 500)

    assert "refunded in full" in refusal(
        sandbox, f"disputes/{made['id']}/settle", outcome="escalated"
    )
    assert settle(sandbox, made["id"], "warning_closed")["status"] == "warning_closed"


def test_a_chargeback_makes_a_refund_that_waits_fail(sandbox: Sandbox) -> None:
    charge = charge_paid(sandbox)
    sandbox.control("settings", refund_outcome="pending")
    waiting = refund(sandbox, charge, 200)

    made = dispute(sandbox, charge)

    assert sandbox.api().v1.refunds.retrieve(waiting.id).status == "failed"
    assert (made["amount"], moved(sandbox)) == (500, (500, 500, 0, 1500))
    assert usd(sandbox)["refunded"] == 0


def test_a_part_can_be_disputed_and_no_more_than_is_left(sandbox: Sandbox) -> None:
    charge = charge_paid(sandbox)
    refund(sandbox, charge, 200)
    path = f"charges/{charge}/dispute"
    assert "no more than $3.00" in refusal(sandbox, path, amount_minor=301)

    part = dispute(sandbox, charge, amount_minor=100)
    assert "still open" in refusal(sandbox, path)
    settle(sandbox, part["id"], "lost")
    rest = dispute(sandbox, charge)
    settle(sandbox, rest["id"], "lost")

    assert (part["amount"], rest["amount"]) == (100, 200)
    assert "no more than $0.00" in refusal(sandbox, path)
    assert moved(sandbox) == (300, 300, 0, 3000)
    assert usd(sandbox)["net"] == 500 - 45 - 200 - 300 - 3000


def test_what_was_not_paid_by_card_is_not_disputed(sandbox: Sandbox) -> None:
    declined, debit = sandbox.session(), sandbox.session()
    sandbox.control(f"sessions/{declined.id}/pay", card="4000000000000002")
    sandbox.control(f"sessions/{debit.id}/pay", method="bank_debit")
    sandbox.control(f"sessions/{debit.id}/settle", outcome="succeeded")
    by_bank, failed = sandbox.api().v1.charges.list().data

    assert "not been paid" in refusal(sandbox, f"charges/{failed.id}/dispute")
    assert "card payments only" in refusal(sandbox, f"charges/{by_bank.id}/dispute")
    assert "must be one of" in refusal(sandbox, f"charges/{by_bank.id}/dispute", reason="x")
    assert "true or false" in refusal(sandbox, f"charges/{by_bank.id}/dispute", inquiry="x")
    assert sandbox.http.post("/_sandbox/stripe/charges/ch_x/dispute").status_code == 404


def test_what_is_decided_is_not_decided_again(sandbox: Sandbox) -> None:
    made = dispute(sandbox, charge_paid(sandbox))
    path = f"disputes/{made['id']}/settle"
    assert "needs_response cannot be warning_closed" in refusal(
        sandbox, path, outcome="warning_closed"
    )
    settle(sandbox, made["id"], "won")
    told = sandbox.event_types()

    for outcome in ("won", "lost", "escalated"):
        assert "won cannot be" in refusal(sandbox, path, outcome=outcome)
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        sandbox.api().v1.disputes.close(made["id"])
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        evidence(sandbox, made["id"], "late")

    assert sandbox.event_types() == told
    assert moved(sandbox) == (500, 500, 500, 1500)


def test_the_fee_of_a_dispute_can_be_set(sandbox: Sandbox) -> None:
    sandbox.control("settings", dispute_fee_minor=0)

    made = dispute(sandbox, charge_paid(sandbox))

    assert [one["fee_details"] for one in made["balance_transactions"]] == [[]]
    assert moved(sandbox) == (500, 500, 0, 0)


def test_the_books_count_disputes_by_customer_and_order(sandbox: Sandbox) -> None:
    customer = sandbox.api().v1.customers.create().id
    ordered = {"metadata": {"order_id": "7"}}
    mine = charge_paid(sandbox, 1000, customer=customer, payment_intent_data=ordered)
    charge_paid(sandbox, 300, customer=customer)
    made = dispute(sandbox, mine, amount_minor=400)

    books = sandbox.books()

    for counted in (books["customers"][customer]["usd"], books["orders"]["7"]["usd"]):
        assert (counted["withdrawn"], counted["dispute_fees"]) == (400, 1500)
        assert (counted["disputed"], counted["dispute_count"]) == (400, 1)
    [listed] = books["disputes"]
    assert (listed["id"], listed["charge"], listed["status"]) == (made["id"], mine, made["status"])


def test_time_ends_what_nobody_answers(sandbox: Sandbox) -> None:
    unanswered = dispute(sandbox, charge_paid(sandbox))
    answered = dispute(sandbox, charge_paid(sandbox))
    asked = dispute(sandbox, charge_paid(sandbox), inquiry=True)
    evidence(sandbox, answered["id"], "A letter")

    def status(one: dict[str, Any]) -> str:
        return sandbox.api().v1.disputes.retrieve(one["id"]).status

    sandbox.control("clock", advance_seconds=9 * 86_400)
    wait_for(lambda: status(unanswered) == "lost")
    assert (status(answered), status(asked)) == ("under_review", "warning_needs_response")

    sandbox.control("clock", advance_seconds=112 * 86_400)
    wait_for(lambda: status(asked) == "warning_closed")
    assert status(answered) == "under_review"


def test_the_control_page_disputes_and_decides(sandbox: Sandbox) -> None:
    charge = charge_paid(sandbox)
    path = f"/_sandbox/stripe/charges/{charge}/dispute"
    assert path in sandbox.http.get("/").text

    sandbox.http.post(path, data={"inquiry": "true"})
    made = sandbox.api().v1.disputes.list().data[0]
    settle_path = f"/_sandbox/stripe/disputes/{made.id}/settle"
    asked = sandbox.http.get("/").text
    sandbox.http.post(settle_path, data={"outcome": "escalated"})
    charged_back = sandbox.http.get("/").text
    sandbox.http.post(settle_path, data={"outcome": "won"})

    assert path not in asked
    assert 'value="escalated"' in asked
    assert 'value="won"' in charged_back
    assert settle_path not in sandbox.http.get("/").text
    assert moved(sandbox) == (500, 500, 500, 1500)


def test_a_killed_sandbox_keeps_disputes_and_their_webhooks(tmp_path: Path) -> None:
    with listening() as listener:
        env = {"SANDBOX_WEBHOOK_URL": listener.url, "SANDBOX_WEBHOOK_SECRET": SECRET}
        with Sandbox(tmp_path, SANDBOX_DISPUTE_FEE="2000", **env) as sandbox:
            sandbox.control("deliveries/hold")
            made = paid_with(sandbox, FRAUDULENT)
            sandbox.stop(signal.SIGKILL)
            sandbox.start()

            assert sandbox.api().v1.disputes.retrieve(made.id).status == "needs_response"
            assert moved(sandbox) == (500, 500, 0, 2000)
            settle(sandbox, made.id, "won")
            sandbox.control("deliveries/release")
            sandbox.until_quiet()

            assert moved(sandbox) == (500, 500, 500, 2000)
            told = [name for name in listener.types() if name.startswith("charge.dispute")]
            kinds = ("created", "funds_withdrawn", "funds_reinstated", "closed")
            assert told == [f"charge.dispute.{kind}" for kind in kinds]
