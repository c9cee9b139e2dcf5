"""Stories of subscribers: cards that fail, banks that claim, staff that refund, plans that change.

A story is drawn from its seed. Many run side by side on one clock (see
``test_subscription_stories.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.error import HTTPError

import stripe

from accounts.models import Customer
from billing import tasks
from billing.errors import (
    AlreadySubscribed,
    ChangeNotPossible,
    NoSubscription,
    NotRefundable,
    PaymentDeclined,
    QuoteOutdated,
)
from billing.models import Order, Payment, RailCustomer
from billing.services import cancellations, orders, plan_changes, refunds, subscriptions
from common import clock
from tests.end_to_end.desk import Desk
from tests.end_to_end.stories import COUPONS, DECLINED
from tests.end_to_end.subscribers import DECLINES_LATER

PLANS = ("basic", "premium", "enterprise")
INTERVALS = ("month", "month", "month", "month", "year")
GOOD_CARD = "4242424242424242"
REFUSALS = (
    AlreadySubscribed,
    ChangeNotPossible,
    NoSubscription,
    NotRefundable,
    PaymentDeclined,
    QuoteOutdated,
    stripe.InvalidRequestError,
    HTTPError,
)

Act = Callable[[], None]


@dataclass
class SubscriptionStory:
    """One customer, their subscriptions, and everything that may befall the money."""

    desk: Desk
    seed: int
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.till = self.desk.till
        self.customer: Customer = self.till.customer()
        self.pages: list[Order] = []
        self.subscribed = False

    def __str__(self) -> str:
        return f"story {self.seed} of {self.customer}:\n  " + "\n  ".join(self.log)

    def step(self) -> None:
        """Something happens, of what can happen now; what is refused changes nothing."""
        acts = [act for weight, can, act in self._acts() if can for _ in range(weight)]
        act = self.random.choice(acts)
        self.note(act.__name__.strip("_"))
        try:
            act()
        except REFUSALS as refusal:
            self.log[-1] += f" ({type(refusal).__name__})"

    def note(self, what: str) -> None:
        """Write down what happened."""
        self.log.append(f"{clock.now():%Y-%m-%d %H:%M:%S} {what}")

    def _acts(self) -> list[tuple[int, bool, Act]]:
        known = self.subscribed
        return [
            (9, not known and not self.pages, self._begin),
            (3, len(self.pages) < 2, self._open_page),
            (3 if known else 12, bool(self.pages), self._pay_page),
            (1, bool(self.pages), self._decline),
            (3, known, self._lose_card),
            (4, known, self._mend_card),
            (2, known, self._pay_invoice),
            (5, known, self._change),
            (2, known, self._cancel),
            (2, known, self._resume),
            (4, known, self._refund_here),
            (3, known, self._refund_there),
            (5, known, self._settle_refund),
            (2, known, self._dispute),
            (7, known, self._settle_dispute),
        ]

    # -- what the customer does -------------------------------------------------------------------

    def _begin(self) -> None:
        self._open_page()
        self._pay_page()

    def _open_page(self) -> None:
        """A checkout page; with two of them on two devices a second plan slips through."""
        slug, interval = self.random.choice(PLANS), self.random.choice(INTERVALS)
        order = subscriptions.start(self.customer, slug, interval, rail="card")
        orders.pay_url(order)
        self.pages.append(order)

    def _pay_page(self) -> None:
        how: dict[str, Any] = {}
        if self.random.random() < 0.4:
            how["tax_minor"] = self.random.choice([1, 37, 99])
        elif self.random.random() < 0.4:
            how["promotion_code"] = self.random.choice([*COUPONS])
        outcome = self._pay(self.random.choice(self.pages), **how)
        self.subscribed = self.subscribed or outcome in ("paid", "free")

    def _decline(self) -> None:
        self._pay(self.random.choice(self.pages), card=DECLINED)

    def _pay(self, order: Order, **how: Any) -> str:
        outcome = self.till.pay(order.external_id, **how)
        self.log[-1] += f" {order.product_name} ({outcome})"
        if outcome != "declined":
            self.pages.remove(order)
            if self.random.random() < 0.7:  # they come back to our page
                tasks.refresh_order(str(order.pk))
        return outcome

    def _lose_card(self) -> None:
        self._use_card(DECLINES_LATER)

    def _mend_card(self) -> None:
        self._use_card(GOOD_CARD)
        self._pay_invoice()

    def _use_card(self, number: str) -> None:
        known = RailCustomer.objects.get(rail="card", customer=self.customer)
        self.till.control(f"customers/{known.external_id}/card", card=number)

    def _pay_invoice(self) -> None:
        """Pay what is open by hand."""
        for invoice in self._invoices(status="open"):
            self.till.control(f"invoices/{invoice.id}/pay")
            self.log[-1] += " (tried)"

    def _change(self) -> None:
        slug, interval = self.random.choice(PLANS), self.random.choice(INTERVALS)
        quote = plan_changes.quote(self.customer, slug, interval)
        self.log[-1] += f" to {slug} {interval} {quote.when}"
        plan_changes.confirm(self.customer, quote.token, placed_by=None)

    def _cancel(self) -> None:
        cancellations.cancel(self.customer)

    def _resume(self) -> None:
        cancellations.resume(self.customer)

    # -- what staff, the provider and banks do ----------------------------------------------------

    def _refund_here(self) -> None:
        """Staff refund a payment: the unearned share, or by force an amount."""
        payments = list(Payment.objects.filter(customer=self.customer))
        if not payments:
            raise NotRefundable
        payment = self.random.choice(payments)
        amount = self.random.choice([None, None, 1, payment.amount_minor // 3 + 1])
        forced = self.random.random() < 0.4
        if forced and amount is None:
            amount = payment.refundable.amount_minor
        self.log[-1] += f" {amount} of {payment.amount}"
        refunds.request(payment.pk, reason="story", amount_minor=amount, forced=forced)

    def _refund_there(self) -> None:
        """Somebody refunds at the provider's dashboard."""
        charge = self._charge()
        left = charge.amount - charge.amount_refunded
        amount = self.random.choice([left, 1, left // 3 + 1])
        self.log[-1] += f" {amount} of {charge.amount}"
        stripe.Refund.create(charge=charge.id, amount=amount)

    def _settle_refund(self) -> None:
        """A refund succeeds or fails at the provider, also after it had succeeded."""
        made = stripe.Refund.list(charge=self._charge().id, limit=100).data
        waiting = [one for one in made if one.status in ("pending", "requires_action")]
        done = [one for one in made if one.status == "succeeded"]
        if waiting:
            outcome = self.random.choice(["succeeded", "failed"])
            refund = self.random.choice(waiting)
        elif done and self.random.random() < 0.4:
            outcome, refund = "failed", self.random.choice(done)
        else:
            return
        self.till.control(f"refunds/{refund.id}/settle", outcome=outcome)
        self.log[-1] += f" {refund.amount} ({outcome})"

    def _dispute(self) -> None:
        """The payer's bank asks about a payment, or takes it back."""
        asks = self.random.random() < 0.3
        charge = self._charge()
        self.till.control(f"charges/{charge.id}/dispute", inquiry=asks)
        self.log[-1] += f" {charge.amount}" + (" (inquiry)" if asks else "")

    def _settle_dispute(self) -> None:
        """The bank decides, or makes a claim of its question."""
        for dispute in stripe.Dispute.list(charge=self._charge().id, limit=100).data:
            asked = dispute.status.startswith("warning_")
            outcome = self.random.choice(
                ["warning_closed", "escalated"] if asked else ["won", "lost"]
            )
            if dispute.status in ("needs_response", "warning_needs_response"):
                self.till.control(f"disputes/{dispute.id}/settle", outcome=outcome)
                self.log[-1] += f" ({outcome})"

    def _charge(self) -> stripe.Charge:
        """One of the customer's charges that succeeded."""
        known = RailCustomer.objects.get(rail="card", customer=self.customer)
        made = stripe.Charge.list(customer=known.external_id, limit=100).data
        paid = [one for one in made if one.status == "succeeded"]
        if not paid:
            raise NotRefundable
        return self.random.choice(paid)

    def _invoices(self, **how: Any) -> Iterator[stripe.Invoice]:
        known = RailCustomer.objects.get(rail="card", customer=self.customer)
        yield from stripe.Invoice.list(customer=known.external_id, limit=100, **how).data
