"""What the tests of disputes say to the sandbox."""

from __future__ import annotations

from typing import Any

import stripe

from tests.sandbox.server import Sandbox

FRAUDULENT = "4000000000000259"
NOT_RECEIVED = "4000000000002685"
INQUIRY = "4000000000001976"


def paid_with(sandbox: Sandbox, card: str) -> stripe.Dispute:
    """The dispute that a payment with this card brings."""
    session = sandbox.session(500, payment_intent_data={"metadata": {"order_id": "1"}})
    assert sandbox.control(f"sessions/{session.id}/pay", card=card)["outcome"] == "paid"
    return sandbox.api().v1.disputes.list().data[0]


def dispute(sandbox: Sandbox, charge: str, **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = sandbox.control(f"charges/{charge}/dispute", **body)
    return made


def settle(sandbox: Sandbox, made: str, outcome: str) -> dict[str, Any]:
    settled: dict[str, Any] = sandbox.control(f"disputes/{made}/settle", outcome=outcome)
    return settled


def refusal(sandbox: Sandbox, path: str, **body: Any) -> str:
    """What the control API says against it."""
    answer = sandbox.http.post(f"/_sandbox/stripe/{path}", json=body)
    assert answer.status_code == 400, answer.text
    return str(answer.json()["error"]["message"])


def evidence(sandbox: Sandbox, made: str, text: str, *, submit: bool = True) -> stripe.Dispute:
    params: Any = {"evidence": {"uncategorized_text": text}, "submit": submit}
    return sandbox.api().v1.disputes.update(made, params=params)


def charge_paid(sandbox: Sandbox, amount: int = 500, **params: Any) -> str:
    """The charge of a new payment."""
    intent = str(sandbox.paid(amount, **params).payment_intent)
    return str(sandbox.api().v1.payment_intents.retrieve(intent).latest_charge)


def refund(sandbox: Sandbox, charge: str, amount: int) -> stripe.Refund:
    return sandbox.api().v1.refunds.create(params={"charge": charge, "amount": amount})


def usd(sandbox: Sandbox) -> dict[str, int]:
    counted: dict[str, int] = sandbox.books()["currencies"]["usd"]
    return counted


def moved(sandbox: Sandbox) -> tuple[int, int, int, int]:
    """(disputed, withdrawn, reinstated, dispute fees) in the books."""
    sums = usd(sandbox)
    return sums["disputed"], sums["withdrawn"], sums["reinstated"], sums["dispute_fees"]
