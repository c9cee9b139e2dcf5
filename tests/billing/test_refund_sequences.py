"""Refunds in every order: asked for, sent, confirmed and failing as providers please.

A failure names its seed; run it again with REFUNDS_SEED=<seed>.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pytest
from django.db.models import Sum

from billing import ledger
from billing.errors import InDebt, InsufficientFunds, NotRefundable
from billing.models import Code, Payment, RefundState, Transfer
from billing.money import CREDIT, share_half_even
from billing.services import refunds
from billing.services.rails import RefundAnswer
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import make_order, make_payment

pytestmark = pytest.mark.django_db

SEQUENCES = 150


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is; the test itself says what the provider answers."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


def seeds() -> list[int]:
    wanted = os.environ.get("REFUNDS_SEED")
    return [int(wanted)] if wanted else list(range(SEQUENCES))


@pytest.mark.parametrize("seed", seeds())
def test_any_order_of_refunds_and_failures_adds_up(seed: int) -> None:
    sequence = Sequence(seed)
    for _ in range(sequence.random.randint(3, 14)):
        sequence.step()
        sequence.check()
    sequence.end()


class Sequence:
    """One payment, and refunds of it that come and go."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        discount = self.random.choice([0, 0, 1_67, 1_25, 4_93])
        tax = self.random.choice([0, 1, 37, 99])
        order = make_order()
        self.payment = make_payment(order, discount_minor=discount, tax_minor=tax)
        self.customer = order.customer
        self.log = [f"{discount=} {tax=}"]

    def step(self) -> None:
        act = self.random.choice(
            [self.ask, self.ask, self.foreign, self.answer, self.answer, self.answer, self.spend]
        )
        self.log.append(act.__name__)
        act()

    def ask(self) -> None:
        payment = self._fresh()
        amount = self.random.choice(
            [None, 1, 2, payment.amount_minor // 3, payment.amount_minor // 7 + 1]
        )
        forced = self.random.random() < 0.3
        if forced and amount is None:
            amount = payment.refundable.amount_minor
        try:
            refunds.request(payment.pk, reason="test", amount_minor=amount, forced=forced)
        except NotRefundable:
            self.log[-1] += " refused"
        else:
            self.log[-1] += f" {amount} {forced=}"

    def foreign(self) -> None:
        left = self._fresh().refundable.amount_minor
        if left:
            amount = self.random.randint(1, left)
            self.log[-1] += f" {amount}"
            answer = RefundAnswer(f"re_f{len(self.log)}", self.random.choice(["sent", "succeeded"]))
            refunds.record_foreign(self.payment.pk, amount_minor=amount, reason="", answer=answer)

    def answer(self) -> None:
        """The provider moves one refund on, or repeats itself."""
        open_ones = list(self.payment.refunds.exclude(state=RefundState.FAILED).order_by("pk"))
        if not open_ones:
            return
        refund = self.random.choice(open_ones)
        onwards = {
            "requested": ["sent", "succeeded", "failed"],
            "sent": ["sent", "succeeded", "succeeded", "failed"],
            "succeeded": ["succeeded", "failed"],
        }
        state = self.random.choice(onwards[refund.state])
        self.log[-1] += f" {refund.amount_minor} {refund.state} -> {state}"
        refunds.record(refund.pk, RefundAnswer(f"re_{refund.pk}", state))

    def spend(self) -> None:
        wallet = ledger.wallet(self.customer, CREDIT)
        free = (wallet.balance_minor or 0) - (wallet.held_minor or 0)
        if free:
            amount = self.random.choice([1, free, free // 3 or 1])
            key = f"test:{self.payment.pk}:{len(self.log)}"
            self.log[-1] += f" {amount} of {free}"
            try:
                ledger.spend(wallet, amount, code=Code.USAGE, key=key, occurred_at=clock.now())
            except (InDebt, InsufficientFunds) as refusal:
                self.log[-1] += f" {type(refusal).__name__}"

    def end(self) -> None:
        """Everything that is open succeeds, and the rest is refunded by force."""
        for refund in self.payment.refunds.filter(state__in=["requested", "sent"]).order_by("?"):
            refunds.record(refund.pk, RefundAnswer(f"re_{refund.pk}", "succeeded"))
        self.check()
        left = self._fresh().refundable.amount_minor
        if left:
            self.log.append(f"all the rest {left}")
            refund = refunds.request(self.payment.pk, reason="test", amount_minor=left, forced=True)
            refunds.record(refund.pk, RefundAnswer("re_rest", "succeeded"))
        self.check()
        assert balance("deferred") == balance("sales") == balance("tax") == 0, self.told()
        assert balance("clearing:card") == 0, self.told()

    def check(self) -> None:
        payment = self._fresh()
        made = payment.refunds.all()
        ours = dict.fromkeys(RefundState, 0)
        for refund in made:
            ours[RefundState(refund.state)] += refund.amount_minor
        gone = payment.refunded_minor
        assert gone == ours[RefundState.SUCCEEDED], self.told()
        assert payment.refunding_minor == payment.amount_minor - payment.refundable.amount_minor
        assert payment.refunding_minor == sum(ours.values()) - ours[RefundState.FAILED], self.told()
        assert balance("clearing:card") == gone - payment.amount_minor, self.told()
        assert balance("tax") == payment.tax_minor - payment.refunded_tax_minor, self.told()
        order = payment.order
        assert order is not None
        net_gone = gone - payment.refunded_tax_minor
        revoked = share_half_even(order.snapshot["credits_minor"], net_gone, order.net.amount_minor)
        assert abs(balance("revoked", "CREDIT") - revoked) <= made.count(), self.told()
        wallet = ledger.wallet(self.customer, CREDIT)
        owed = -(ledger.debt(self.customer, CREDIT).balance_minor or 0)
        free = (wallet.balance_minor or 0) - (wallet.held_minor or 0)
        assert not (owed and free), self.told(owed, free)
        spent = balance("consumed", "CREDIT")
        granted = order.snapshot["credits_minor"]
        # What is set aside for refunds on their way pays a debt when it is not needed.
        assert owed <= spent + (wallet.held_minor or 0), self.told(owed, spent)
        assert (wallet.balance_minor or 0) - owed == granted - spent - balance("revoked", "CREDIT")

    def told(self, *numbers: int) -> str:
        """What happened, for a test that failed."""
        return f"REFUNDS_SEED={self.seed} {numbers}: " + "; ".join(self.log)

    def _fresh(self) -> Payment:
        return Payment.objects.select_related("order").get(pk=self.payment.pk)


def balance(role: str, asset: str = "USD") -> int:
    """What a system account holds; each test has its own database state."""
    total = Sum("amount_minor")
    came = Transfer.objects.filter(target__role=role, target__asset=asset)
    went = Transfer.objects.filter(source__role=role, source__asset=asset)
    return (came.aggregate(t=total)["t"] or 0) - (went.aggregate(t=total)["t"] or 0)
