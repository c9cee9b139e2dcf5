"""Stories: what customers, staff and the provider do to one order, in an order nobody planned.

A story is drawn from its seed; which of its webhooks come when, twice or never is drawn from the
seed of the batch (see ``test_interleavings.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.error import HTTPError

import stripe

from accounts.models import Customer
from billing import ledger
from billing.errors import InDebt, InsufficientFunds, NotRefundable
from billing.models import Code, Order, Payment
from billing.money import CREDIT
from billing.services import refunds
from common import clock
from tests.end_to_end.till import Till

DECLINED = "4000000000000002"
# Odd shares, so that units and cents have something to round; and one that takes it all.
COUPONS = {"ODD": 33.33, "THIRD": 37, "ALL": 100}


@dataclass
class Story:
    """One customer, one or two orders, and everything that may befall their money."""

    till: Till
    seed: int
    longest: int
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.steps = self.random.randint(3, self.longest)
        self.customer: Customer = self.till.customer()
        self.orders: list[Order] = []
        self.open_sessions: list[str] = []
        self.debits: list[str] = []
        self.intents: list[str] = []
        self.disputes: list[str] = []
        self._order()

    def __str__(self) -> str:
        return f"story {self.seed} of {self.customer}: " + "; ".join(self.log)

    def step(self) -> None:
        """Something happens, of what can happen now."""
        acts = [act for weight, can, act in self._acts() if can for _ in range(weight)]
        act = self.random.choice(acts)
        self.log.append(act.__name__.strip("_"))
        act()

    def _acts(self) -> list[tuple[int, bool, Callable[[], None]]]:
        payable, paid = bool(self.open_sessions), bool(self.intents)
        return [
            (5, payable, self._pay),
            (1, payable, self._decline),
            (2, payable, self._pay_by_debit),
            (1, payable, self._expire),
            (4, bool(self.debits), self._end_debit),
            (2, len(self.open_sessions) < 2, self._another_session),
            (1, len(self.orders) < 3, self._order),
            (3, paid, self._spend),
            (6, paid, self._refund_here),
            (4, paid, self._refund_there),
            (8, paid, self._settle_refund),
            (2, paid, self._dispute),
            (4, bool(self.disputes), self._settle_dispute),
        ]

    # -- what the customer does -------------------------------------------------------------------

    def _order(self) -> None:
        package = self.random.choice(["small", "small", "medium"])
        self.orders.append(self.till.order(self.customer, package))
        self.open_sessions.append(self.orders[-1].external_id)

    def _another_session(self) -> None:
        order = self.random.choice(self.orders)
        subtotal = self.random.choice([order.subtotal_minor, 3_33, 7_00])
        self.open_sessions.append(self.till.another_session(order, subtotal_minor=subtotal))

    def _pay(self) -> None:
        self._try_to_pay(**self._codes_and_tax())

    def _decline(self) -> None:
        self._try_to_pay(card=DECLINED)

    def _pay_by_debit(self) -> None:
        self._try_to_pay(method="bank_debit", **self._codes_and_tax())

    def _codes_and_tax(self) -> dict[str, Any]:
        how: dict[str, Any] = {}
        if self.random.random() < 0.5:
            how["tax_minor"] = self.random.choice([1, 37, 41, 99])
        return how

    def _try_to_pay(self, **how: Any) -> None:
        session_id = self.random.choice(self.open_sessions)
        own = session_id in [order.external_id for order in self.orders]
        if own and self.random.random() < 0.4:  # only our own pages take codes
            how["promotion_code"] = self.random.choice([*COUPONS])
            if how["promotion_code"] == "ALL":
                how.pop("tax_minor", None)
        outcome = self.till.pay(session_id, **how)
        self.log[-1] += f"({outcome})"
        if outcome != "declined":
            self.open_sessions.remove(session_id)
        if outcome == "processing":
            self.debits.append(session_id)
        if outcome == "paid":
            self._remember_intent(session_id)

    def _remember_intent(self, session_id: str) -> None:
        session = stripe.checkout.Session.retrieve(session_id)
        self.intents.append(str(session.payment_intent))

    def _end_debit(self) -> None:
        session_id = self.debits.pop()
        outcome = self.random.choice(["succeeded", "succeeded", "failed"])
        self.till.control(f"sessions/{session_id}/settle", outcome=outcome)
        self.log[-1] += f"({outcome})"
        if outcome == "succeeded":
            self._remember_intent(session_id)

    def _expire(self) -> None:
        session_id = self.random.choice(self.open_sessions)
        self.open_sessions.remove(session_id)
        stripe.checkout.Session.expire(session_id)

    def _spend(self) -> None:
        wallet = self.till.wallet(self.customer)
        most = (wallet.balance_minor or 0) - (wallet.held_minor or 0)
        if most <= 0:
            return
        amount = self.random.choice([1, CREDIT.unit_minor // 3, most // 3 + 1, most])
        key = f"story:{self.seed}:{len(self.log)}"
        try:
            ledger.spend(
                wallet, min(amount, most), code=Code.USAGE, key=key, occurred_at=clock.now()
            )
        except (InDebt, InsufficientFunds) as refusal:
            self.log[-1] += f"({type(refusal).__name__})"

    # -- what staff and the provider do -----------------------------------------------------------

    def _refund_here(self) -> None:
        """Staff refund a payment that has come in: the unspent share, or by force an amount."""
        payments = list(Payment.objects.filter(customer=self.customer).order_by("pk"))
        if not payments:
            return
        payment = self.random.choice(payments)
        amount = self.random.choice([None, None, 1, payment.amount_minor // 3 + 1])
        forced = self.random.random() < 0.4
        if forced and amount is None:
            amount = payment.refundable.amount_minor
        try:
            refunds.request(payment.pk, reason="story", amount_minor=amount, forced=forced)
        except NotRefundable as refusal:
            self.log[-1] += f"({type(refusal).__name__})"

    def _refund_there(self) -> None:
        """Somebody refunds at the provider's dashboard."""
        intent = self.random.choice(self.intents)
        charge = stripe.PaymentIntent.retrieve(intent, expand=["latest_charge"]).latest_charge
        assert isinstance(charge, stripe.Charge)
        left = charge.amount - charge.amount_refunded
        if left > 0:
            amount = self.random.choice([left, 1, left // 3 + 1])
            try:
                stripe.Refund.create(payment_intent=intent, amount=amount)
            except stripe.InvalidRequestError:  # disputed, or the portal's own was quicker
                self.log[-1] += "(refused)"

    def _settle_refund(self) -> None:
        """A refund succeeds or fails at the provider, also after it had succeeded."""
        made = stripe.Refund.list(payment_intent=self.random.choice(self.intents), limit=100).data
        waiting = [one for one in made if one.status in ("pending", "requires_action")]
        done = [one for one in made if one.status == "succeeded"]
        if waiting:
            outcome = self.random.choice(["succeeded", "succeeded", "failed"])
            refund = self.random.choice(waiting)
        elif done and self.random.random() < 0.4:
            outcome, refund = "failed", self.random.choice(done)
        else:
            return
        self.till.control(f"refunds/{refund.id}/settle", outcome=outcome)
        self.log[-1] += f"({outcome})"

    def _dispute(self) -> None:
        """The payer's bank asks, or takes the money back."""
        intent = stripe.PaymentIntent.retrieve(self.random.choice(self.intents))
        asks = self.random.random() < 0.3
        path = f"charges/{intent.latest_charge}/dispute"
        try:
            made = self.till.control(path, inquiry=asks)
        except HTTPError:  # a bank debit, nothing left, or disputed already
            self.log[-1] += "(refused)"
        else:
            self.disputes.append(made["id"])

    def _settle_dispute(self) -> None:
        """The bank decides, or makes a claim of its question."""
        dispute_id = self.random.choice(self.disputes)
        asked = stripe.Dispute.retrieve(dispute_id).status.startswith("warning_")
        outcomes = ["warning_closed", "escalated"] if asked else ["won", "lost"]
        outcome = self.random.choice(outcomes)
        try:
            self.till.control(f"disputes/{dispute_id}/settle", outcome=outcome)
        except HTTPError:  # there is not so much left of the charge any more
            outcome = "refused"
        self.log[-1] += f"({outcome})"
        if outcome != "escalated":
            self.disputes.remove(dispute_id)


def make_coupons(till: Till) -> None:
    """The promotion codes that stories use."""
    for code, percent_off in COUPONS.items():
        coupon = stripe.Coupon.create(percent_off=percent_off, duration="once")
        stripe.PromotionCode.create(promotion={"type": "coupon", "coupon": coupon.id}, code=code)
