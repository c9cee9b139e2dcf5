"""Disputes by the API: evidence, closing, lists."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.disputes import (
    FRAUDULENT,
    INQUIRY,
    charge_paid,
    dispute,
    evidence,
    moved,
    paid_with,
    settle,
)
from tests.sandbox.server import Sandbox


def test_evidence_is_staged_then_submitted(sandbox: Sandbox) -> None:
    made = dispute(sandbox, charge_paid(sandbox))
    staged = evidence(sandbox, made["id"], "A letter", submit=False)
    told = sandbox.event_types()
    again = evidence(sandbox, made["id"], "A letter", submit=False)
    submitted = sandbox.api().v1.disputes.update(made["id"], params={"submit": True})

    for one, status, count in (
        (staged, "needs_response", 0),
        (again, "needs_response", 0),
        (submitted, "under_review", 1),
    ):
        details = one.evidence_details
        assert (one.status, details.submission_count) == (status, count)
        assert (details.has_evidence, one.evidence.uncategorized_text) == (True, "A letter")
    assert told[-1] == "charge.dispute.updated"
    assert sandbox.event_types() == [*told, "charge.dispute.updated"]
    assert settle(sandbox, made["id"], "won")["status"] == "won"


def test_metadata_alone_submits_nothing(sandbox: Sandbox) -> None:
    made = dispute(sandbox, charge_paid(sandbox))
    evidence(sandbox, made["id"], "A letter", submit=False)

    changed = sandbox.api().v1.disputes.update(made["id"], params={"metadata": {"case": "7"}})

    assert (changed.status, changed.to_dict()["metadata"]) == ("needs_response", {"case": "7"})
    assert changed.evidence_details.submission_count == 0
    told = sandbox.api().v1.events.list().data[0].to_dict()
    assert told["type"] == "charge.dispute.updated"
    assert told["data"]["previous_attributes"] == {"metadata": {"case": None}}


@pytest.mark.parametrize(
    ("card", "text", "shown", "status", "withdrawn", "reinstated"),
    [
        (FRAUDULENT, "winning_evidence", "under_review", "won", 500, 500),
        (FRAUDULENT, "losing_evidence", "under_review", "lost", 500, 0),
        (INQUIRY, "losing_evidence", "warning_under_review", "warning_closed", 0, 0),
        (INQUIRY, "escalate_inquiry_evidence", "warning_under_review", "needs_response", 500, 0),
    ],
)
def test_test_evidence_decides(
    sandbox: Sandbox,
    card: str,
    text: str,
    shown: str,
    status: str,
    withdrawn: int,
    reinstated: int,
) -> None:
    made = paid_with(sandbox, card)

    assert evidence(sandbox, made.id, text).status == shown

    assert sandbox.api().v1.disputes.retrieve(made.id).status == status
    assert moved(sandbox)[1:3] == (withdrawn, reinstated)


def test_evidence_that_cannot_be_taken_is_refused_by_name(sandbox: Sandbox) -> None:
    made = dispute(sandbox, charge_paid(sandbox))
    cases: list[tuple[Any, str]] = [
        ({"receipt": "file_1"}, "sandbox_not_modelled"),
        ({"poem": "x"}, "parameter_unknown"),
        ({"uncategorized_text": "x" * 20_001}, "parameter_invalid_string_too_long"),
    ]
    for wrong, code in cases:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            sandbox.api().v1.disputes.update(made["id"], params={"evidence": wrong})
        assert (caught.value.code, caught.value.param) == (code, f"evidence[{next(iter(wrong))}]")
    assert sandbox.api().v1.disputes.retrieve(made["id"]).status == "needs_response"


def test_an_inquiry_is_not_accepted_as_lost(sandbox: Sandbox) -> None:
    made = dispute(sandbox, charge_paid(sandbox), inquiry=True)

    with pytest.raises(stripe.InvalidRequestError, match="is an inquiry"):
        sandbox.api().v1.disputes.close(made["id"])


def test_a_repeated_key_submits_and_closes_once(sandbox: Sandbox) -> None:
    disputes = sandbox.api().v1.disputes
    made = dispute(sandbox, charge_paid(sandbox))
    update: Any = {"evidence": {"uncategorized_text": "A letter"}}
    for _ in range(2):
        answer = disputes.update(made["id"], params=update, options={"idempotency_key": "evidence"})
        assert answer.evidence_details.submission_count == 1

    for _ in range(2):
        closed = disputes.close(made["id"], options={"idempotency_key": "close"})
        assert closed.status == "lost"

    assert sandbox.event_types()[-2:] == ["charge.dispute.updated", "charge.dispute.closed"]
    assert disputes.retrieve(made["id"]).evidence_details.submission_count == 1


def test_disputes_are_listed_by_charge_payment_and_time(sandbox: Sandbox) -> None:
    disputes = sandbox.api().v1.disputes
    made = [dispute(sandbox, charge_paid(sandbox)) for _ in range(3)]
    first = made[0]
    wanted: list[Any] = [{"charge": first["charge"]}, {"payment_intent": first["payment_intent"]}]

    assert [[one.id for one in disputes.list(params=by).data] for by in wanted] == [
        [first["id"]]
    ] * 2
    newest = [one["id"] for one in made[::-1]]
    paged = disputes.list(params={"limit": 2, "expand": ["data.payment_intent"]})
    assert [one.id for one in paged.auto_paging_iter()] == newest
    assert isinstance(paged.data[0].payment_intent, stripe.PaymentIntent)
    assert disputes.list(params={"created": {"gt": made[-1]["created"]}}).data == []
    with pytest.raises(stripe.InvalidRequestError, match="No such dispute: 'du_x'"):
        disputes.retrieve("du_x")


def test_balance_transactions_are_found_by_charge_but_not_by_dispute(sandbox: Sandbox) -> None:
    made = dispute(sandbox, charge_paid(sandbox))
    booked = sandbox.api().v1.balance_transactions

    assert len(booked.list(params={"source": made["charge"]}).data) == 1
    assert booked.list(params={"source": made["id"]}).data == []
    [listed] = booked.list(params={"type": "adjustment", "expand": ["data.source"]}).data
    assert isinstance(listed.source, stripe.Dispute)
    assert sandbox.api().v1.balance.retrieve().available[0].amount == 500 - 45 - 2000
