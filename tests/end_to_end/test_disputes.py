"""Disputes over real HTTP: frozen, lost, won, escalated; late, lost or doubled news of them."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import stripe

from accounts.scopes import CREDITS_READ
from accounts.services import api_keys
from billing import ledger
from billing.errors import InsufficientFunds, NotRefundable
from billing.models import Code, Dispute, DisputeState, ItemState, Lot, Payment, RefundState
from billing.money import CREDIT
from billing.rails.card import disputes as card_disputes
from billing.rails.card import objects
from billing.selectors import audit
from billing.services import reconciliations, refunds
from common import clock
from tests.end_to_end import books
from tests.end_to_end.till import Move, Till

CREDITS = CREDIT.unit_minor

# A $5 pack with $0.99 tax, of which 1,000 credits are spent: what each step of a dispute moves.
FROZEN: list[Move] = [
    ("deferred", "disputed", 3_00),
    ("sales", "disputed", 2_00),
    ("tax", "disputed", 99),
]
WITHDRAWN: list[Move] = [
    ("disputed", "clearing:card", 5_99),
    ("provider_fee", "clearing:card", 15_00),
]
TAKEN: list[Move] = [
    ("debt", "revoked", 1_000 * CREDITS),
    ("wallet", "revoked", 1_500 * CREDITS),
]


@pytest.fixture
def payment(till: Till) -> Iterator[Payment]:
    """A pack that is partly spent; whatever a test does to it, the books agree in the end."""
    yield bought_and_partly_spent(till)
    assert_books_agree(till)


def bought_and_partly_spent(till: Till) -> Payment:
    """A $5 pack with $0.99 tax, of which 1,000 credits are spent."""
    order = till.buy(tax_minor=99)
    ledger.spend(
        till.wallet(order.customer),
        1_000 * CREDITS,
        code=Code.USAGE,
        key=f"test:{order.pk}",
        occurred_at=clock.now(),
    )
    ledger.recognise(occurred_at=clock.now())
    return Payment.objects.select_related("order", "customer").get(order=order)


def assert_books_agree(till: Till) -> None:
    """The ledger agrees with the sandbox and with itself."""
    books.assert_agree(till)
    assert audit.differences() == []


def disputed(till: Till, payment: Payment, **how: Any) -> str:
    """The payer's bank disputes the payment; the dispute's id at the sandbox."""
    intent = stripe.PaymentIntent.retrieve(payment.external_id)
    return str(till.control(f"charges/{intent.latest_charge}/dispute", **how)["id"])


def decide(till: Till, dispute_id: str, outcome: str) -> None:
    """The bank decides, and the portal hears of it."""
    till.control(f"disputes/{dispute_id}/settle", outcome=outcome)
    till.settle_down()


def moves(till: Till, dispute_id: str) -> list[Move]:
    """What our ledger moved for a dispute, sorted."""
    return sorted(till.moves(f"dispute:{Dispute.objects.get(external_id=dispute_id).pk}"))


def state_of(dispute_id: str) -> str:
    """How our row of a dispute stands."""
    return Dispute.objects.get(external_id=dispute_id).state


def seen_by_customer(till: Till, payment: Payment) -> str:
    """The order's state as the portal tells it to a program of the customer."""
    assert payment.customer is not None
    key = api_keys.create(
        payment.customer, created_by=None, name="a test", scope_names=[CREDITS_READ.name]
    )
    request = urllib.request.Request(
        f"{till.portal.url}/api/billing/orders/{payment.order_id}",
        headers={"Authorization": f"Bearer {key.secret}"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return str(json.load(response)["state"])


def units(till: Till, payment: Payment) -> tuple[int, int]:
    """Whole credits that the customer can spend, and owes."""
    assert payment.customer is not None
    return till.spendable(payment.customer) // CREDITS, till.owed(payment.customer) // CREDITS


def test_an_open_dispute_freezes_and_a_lost_one_takes(till: Till, payment: Payment) -> None:
    dispute_id = disputed(till, payment)
    till.settle_down()

    assert state_of(dispute_id) == DisputeState.OPEN
    assert moves(till, dispute_id) == sorted(FROZEN + WITHDRAWN)
    assert units(till, payment) == (0, 0)
    assert payment.customer is not None
    wallet = till.wallet(payment.customer)
    assert (wallet.balance_minor, wallet.held_minor) == (1_500 * CREDITS, 1_500 * CREDITS)
    with pytest.raises(InsufficientFunds):
        ledger.spend(wallet, 1, code=Code.USAGE, key="more", occurred_at=clock.now())
    with pytest.raises(NotRefundable):
        refunds.request(payment.pk, reason="asked", amount_minor=1, forced=True)
    assert seen_by_customer(till, payment) == "disputed"
    assert_books_agree(till)

    decide(till, dispute_id, "lost")

    assert state_of(dispute_id) == DisputeState.LOST
    assert moves(till, dispute_id) == sorted(FROZEN + WITHDRAWN + TAKEN)
    assert units(till, payment) == (0, 1_000)
    assert seen_by_customer(till, payment) == "charged_back"


def test_a_won_dispute_puts_everything_back_to_the_cent(till: Till, payment: Payment) -> None:
    roles = ("deferred", "sales", "tax", "disputed", "chargeback_loss", "unapplied:unknown")
    before = {role: till.balance(role) for role in roles}
    fees, cleared = till.balance("provider_fee"), till.balance("clearing:card")
    dispute_id = disputed(till, payment)
    till.settle_down()

    decide(till, dispute_id, "won")

    ledger.recognise(occurred_at=clock.now())  # what was used earns again
    assert {role: till.balance(role) for role in roles} == before
    assert till.balance("provider_fee") == fees - 15_00
    assert till.balance("clearing:card") == cleared + 15_00
    assert units(till, payment) == (1_500, 0)
    assert seen_by_customer(till, payment) == "delivered"
    assert till.refund(payment).amount_minor == 3_59


def test_an_inquiry_moves_nothing_until_it_is_escalated(till: Till, payment: Payment) -> None:
    dispute_id = disputed(till, payment, inquiry=True)
    till.settle_down()
    assert state_of(dispute_id) == DisputeState.INQUIRY
    assert moves(till, dispute_id) == []
    assert units(till, payment) == (1_500, 0)
    assert seen_by_customer(till, payment) == "delivered"

    decide(till, dispute_id, "escalated")
    assert moves(till, dispute_id) == sorted(FROZEN + WITHDRAWN)
    assert seen_by_customer(till, payment) == "disputed"

    decide(till, dispute_id, "lost")
    assert moves(till, dispute_id) == sorted(FROZEN + WITHDRAWN + TAKEN)
    assert units(till, payment) == (0, 1_000)


@pytest.mark.parametrize("first", ["refund.failed", "charge.dispute.updated"])
def test_a_refund_that_an_escalation_undid_is_disputed_with_the_rest(
    till: Till, payment: Payment, first: str
) -> None:
    dispute_id = disputed(till, payment, inquiry=True)
    till.settle_down()
    refund = till.refund(payment)
    assert refund.state == RefundState.SUCCEEDED

    with till.holding():
        till.control(f"disputes/{dispute_id}/settle", outcome="escalated")
        [early] = till.held(type=first)
        assert till.deliver(early) == 200
        till.settle_down()
    decide(till, dispute_id, "lost")

    refund.refresh_from_db()
    assert refund.state == RefundState.FAILED
    assert Dispute.objects.get(external_id=dispute_id).frozen_minor == 5_99
    assert units(till, payment) == (0, 1_000)


def test_a_dispute_nobody_told_us_of_is_found_by_name_once(till: Till, payment: Payment) -> None:
    till.control("faults", kind="drop", type="charge.dispute.*", count=100)
    try:
        dispute_id = disputed(till, payment)
        till.settle_down()
        assert not Dispute.objects.filter(external_id=dispute_id).exists()
        assert reconciled() == [("dispute_missing", dispute_id, "needs_response")]
        assert reconciled() == []
        assert moves(till, dispute_id) == sorted(FROZEN + WITHDRAWN)

        decide(till, dispute_id, "lost")
        assert state_of(dispute_id) == DisputeState.OPEN
        assert reconciled() == [("dispute_state_differs", dispute_id, "lost")]
        assert reconciled() == []
    finally:
        till.portal.sandbox("DELETE", "/_sandbox/stripe/faults")
    assert moves(till, dispute_id) == sorted(FROZEN + WITHDRAWN + TAKEN)


def reconciled() -> list[tuple[str, str, str]]:
    """What reading Stripe's books of the last day brings to light."""
    run = reconciliations.run("card", clock.now() - timedelta(days=1))
    items = list(run.items.order_by("pk"))
    assert all(one.state == ItemState.REPAIRED for one in items), items
    return [(one.kind, one.subject, one.theirs.split(", ")[-1]) for one in items]


@pytest.mark.parametrize(("outcome", "seed"), [("won", 1), ("lost", 2)])
def test_events_in_any_order_and_twice_end_the_same(
    till: Till, payment: Payment, outcome: str, seed: int
) -> None:
    random = Random(seed)
    with till.holding(), ThreadPoolExecutor(4) as post:
        dispute_id = disputed(till, payment)
        stripe.Dispute.modify(dispute_id, metadata={"case": "1"})
        early = till.held(object=dispute_id)
        random.shuffle(early)
        assert set(post.map(till.deliver, early[:seed] * 2)) == {200}
        till.control(f"disputes/{dispute_id}/settle", outcome=outcome)
        late = till.held(object=dispute_id) * 2
        random.shuffle(late)
        assert set(post.map(till.deliver, late)) == {200}
    till.settle_down()

    assert_ended(till, payment, dispute_id, outcome)


def test_money_that_moved_after_the_status_is_found_without_its_webhook(
    till: Till, payment: Payment
) -> None:
    till.control("faults", kind="drop", type="charge.dispute.*", count=100)
    dispute_id = disputed(till, payment)
    till.settle_down()
    till.portal.sandbox("DELETE", "/_sandbox/stripe/faults")
    read_early = {**objects.dispute(dispute_id), "balance_transactions": []}
    card_disputes.sync(read_early)
    assert moves(till, dispute_id) == sorted(FROZEN)

    assert reconciled() == [("dispute_amount_differs", dispute_id, "fee $15.00")]

    assert moves(till, dispute_id) == sorted(FROZEN + WITHDRAWN)


def test_an_answer_read_before_the_decision_changes_nothing_after_it(
    till: Till, payment: Payment
) -> None:
    dispute_id = disputed(till, payment)
    read_before = objects.dispute(dispute_id)
    till.settle_down()
    decide(till, dispute_id, "won")

    card_disputes.sync(read_before)  # as a worker would that was held up after reading

    assert_ended(till, payment, dispute_id, "won")


def assert_ended(till: Till, payment: Payment, dispute_id: str, outcome: str) -> None:
    """A dispute of a pack that was partly spent has ended, won or lost, and left just that."""
    ledger.recognise(occurred_at=clock.now())
    dispute = Dispute.objects.get(external_id=dispute_id)
    payment.refresh_from_db()
    lot = Lot.objects.get(origin=f"order:{payment.order_id}")
    lost = outcome == "lost"
    assert (dispute.state, dispute.is_frozen) == (outcome, lost)
    assert (dispute.withdrawn_minor, dispute.fee_minor) == (5_99, 15_00)
    assert dispute.reinstated_minor == (0 if lost else 5_99)
    assert payment.refunded_minor == payment.refunding_minor == (5_99 if lost else 0)
    assert payment.refunded_tax_minor == (99 if lost else 0)
    assert (lot.refunded_minor, lot.recognised_minor) == ((5_00, 0) if lost else (0, 2_00))
    assert (lot.held_minor, lot.revoked_minor) == (0, 1_500 * CREDITS if lost else 0)
    assert units(till, payment) == ((0, 1_000) if lost else (1_500, 0))
