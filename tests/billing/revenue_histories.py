"""Random histories of a small business: what customers, providers and staff do, over months."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from unittest import mock

from accounts.models import Customer
from billing import catalogue, ledger
from billing.errors import (
    AlreadySubscribed,
    ChangeNotPossible,
    InDebt,
    InsufficientFunds,
    NoSubscription,
    NotRefundable,
)
from billing.models import (
    Code,
    DisputeState,
    Order,
    OrderStatus,
    Payment,
    Refund,
    RefundState,
    Subscription,
    SubscriptionStatus,
)
from billing.money import CREDIT, USD, XTR, Asset, Money
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.services import (
    credit_packs,
    disputes,
    dunning,
    orders,
    payments,
    plan_changes,
    prepaid,
    rails,
    refunds,
    splits,
    subscription_periods,
    subscriptions,
)
from billing.services.disputes import Claim
from billing.services.rails import RefundAnswer
from billing.services.splits import Rule
from common import clock
from common.clock import FrozenClock
from common.errors import InvalidInput
from tests.billing.fakes import FakeRail, FakeRenewingRail
from tests.billing.prepaid import ONE, Chain, give
from tests.factories import NOW, make_charge, make_customer

PLANS = ("basic", "premium", "enterprise")
PACKS = {USD: ("small", "medium", "large"), XTR: ("pkg_100", "pkg_500")}


class Stars(FakeRail):
    """A rail in another currency that does not renew."""

    name = "stars"
    assets = (XTR,)


class History:
    """Some customers, three currencies, four ways to pay; ``live`` lets anything happen."""

    def __init__(self, random: Random, now: FrozenClock) -> None:
        self.random, self.now = random, now
        self.log: list[str] = []
        self.customers = [self._someone() for _ in range(3)]

    @staticmethod
    def ways() -> mock._patch_dict:
        """The rails of this world, for the length of a with block."""
        ways = {"card": FakeRenewingRail(), "wallet": WalletRail(), "chain": Chain()}
        return mock.patch.dict(rails._RAILS, {**ways, "stars": Stars()}, clear=True)

    def live(self, steps: int) -> None:
        """Do so many things."""
        acts: list[Callable[[Customer], None]] = [
            self.wait, self.wait, self.wait, self.wait, self.subscribe, self.subscribe,
            self.subscribe, self.change, self.change, self.cancel, self.buy, self.buy, self.spend,
            self.spend, self.refund, self.answer, self.answer, self.dispute, self.fail,
            self.split, self.stray,
        ]  # fmt: skip
        for _ in range(steps):
            act = self.random.choice(acts)
            customer = self.random.choice(self.customers)
            self.log.append(f"{self.now.at:%m-%d %H:%M} {act.__name__} {customer.email}")
            act(customer)

    # -- what happens ------------------------------------------------------------------------------

    def wait(self, _customer: Customer) -> None:
        """Time passes, providers bill, and what falls due happens."""
        days = self.random.choice([0, 1, 3, 11, 29, 31])
        self.now.move(timedelta(days=days, seconds=self.random.randint(1, 80_000)))
        if self.random.random() < 0.1:
            self.customers.append(self._someone())
        self._bill()
        prepaid.end_over()
        dunning.run()
        subscription_periods.recognise_due()
        ledger.expire(occurred_at=self.now.at)
        ledger.recognise(occurred_at=self.now.at)

    def subscribe(self, customer: Customer) -> None:
        """A first period, or one more."""
        rail = self.random.choice(["card", "card", "wallet", "chain", "stars"])
        plan, interval = self.random.choice(PLANS), self.random.choice(["month", "month", "year"])
        if rail == "stars":
            interval = "30d"
        try:
            order = subscriptions.start(customer, plan, interval, rail=rail)
        except (AlreadySubscribed, InvalidInput) as refusal:
            self.log[-1] += f" {type(refusal).__name__}"
            return
        discount = self.random.choice([0, 0, 1_00, order.subtotal_minor])
        self._pay(order, discount_minor=discount if rail == "card" else 0)

    def change(self, customer: Customer) -> None:
        """Another plan, now or later."""
        plan, interval = self.random.choice(PLANS), self.random.choice(["month", "year"])
        try:
            quote = plan_changes.quote(customer, plan, interval)
            order = plan_changes.confirm(customer, quote.token, placed_by=None).order
        except (NoSubscription, ChangeNotPossible, InvalidInput) as refusal:
            self.log[-1] += f" {type(refusal).__name__}"
            return
        if order is not None and order.is_open:
            self._pay(order)

    def cancel(self, customer: Customer) -> None:
        """Told the provider to end it with its period."""
        known = subscriptions.current(customer)
        way = rails.named("card")
        assert isinstance(way, FakeRenewingRail)
        if known is not None and known.external_id and known.renews:
            way.cancel_at_period_end(known)

    def buy(self, customer: Customer) -> None:
        """Credits, by card or in Stars, taxed or discounted."""
        unit, rail = self.random.choice([(USD, "card"), (USD, "chain"), (XTR, "stars")])
        order = self._ordered(customer, self.random.choice(PACKS[unit]), unit, rail)
        terms = {"tax_minor": self.random.choice([0, 0, 1, 99])} if unit == USD else {}
        self._settle(order, **terms)

    def spend(self, customer: Customer) -> None:
        """Credits are used."""
        wallet = ledger.wallet(customer, CREDIT)
        free = (wallet.balance_minor or 0) - (wallet.held_minor or 0)
        if free <= 0:
            return
        amount = max(1, free // self.random.choice([1, 2, 3, 7]))
        key = f"test:spend:{len(self.log)}"
        try:
            ledger.spend(wallet, amount, code=Code.USAGE, key=key, occurred_at=self.now.at)
        except (InDebt, InsufficientFunds) as refusal:
            self.log[-1] += f" {type(refusal).__name__}"

    def refund(self, customer: Customer) -> None:
        """Some or all of a payment is asked back."""
        payment = self._payment(customer)
        if payment is None:
            return
        left = payment.refundable.amount_minor
        amount = self.random.choice([None, 1, left // 3, left])
        try:
            refund = refunds.request(
                payment.pk, reason="test", amount_minor=amount, forced=amount is not None
            )
        except NotRefundable:
            return
        if payment.rail == "wallet":
            refunds.send(refund.pk)

    def answer(self, customer: Customer) -> None:
        """A provider moves a refund on, even a finished one."""
        mine = Refund.objects.filter(payment__customer=customer).exclude(payment__rail="wallet")
        waiting = list(mine.exclude(state=RefundState.FAILED).order_by("pk"))
        if waiting:
            refund = self.random.choice(waiting)
            state = self.random.choice(["sent", "succeeded", "succeeded", "succeeded", "failed"])
            self.log[-1] += f" {state}"
            refunds.record(refund.pk, RefundAnswer(f"re_{refund.pk}", state))

    def dispute(self, customer: Customer) -> None:
        """A payer's bank wants money back; or decides."""
        payment = self._payment(customer)
        if payment is None or payment.rail == "wallet":
            return
        known = payment.disputes.first()
        first = [DisputeState.INQUIRY, DisputeState.OPEN, DisputeState.OPEN]
        state = self.random.choice([DisputeState.WON, DisputeState.LOST] if known else first)
        taken = 0 if state == DisputeState.INQUIRY else payment.amount_minor
        withdrawn = max(taken, known.withdrawn_minor if known else 0)
        claim = Claim(
            external_id=f"dp_{payment.pk}",
            state=state,
            provider_status=str(state),
            reason="test",
            amount_minor=payment.amount_minor,
            withdrawn_minor=withdrawn,
            reinstated_minor=withdrawn if state == DisputeState.WON else 0,
            fee_minor=0,
            opened_at=self.now.at,
            evidence_due_at=None,
        )
        self.log[-1] += f" {state}"
        disputes.record(payment.pk, claim)

    def fail(self, customer: Customer) -> None:
        """A renewal, or the payment of an order, is declined."""
        known = subscriptions.current(customer)
        way = rails.named("card")
        if known is not None and known.renews and isinstance(way, FakeRenewingRail):
            if known.status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE):
                way.fail(known)
        else:
            order = self._ordered(customer, "small", USD, "card")
            Order.objects.filter(pk=order.pk).update(
                status=OrderStatus.FAILED, created_at=self.now.at
            )

    def split(self, customer: Customer) -> None:
        """A sale that is shared with a creator, some of it refunded."""
        key = f"test:sale:{len(self.log)}"
        rule = Rule(creator_bps=9_000, version="1")
        net = Money(self.random.randint(2, 5_000), USD)
        source = ledger.system_account("clearing:card", USD)
        splits.book(key, net=net, creator=customer, rule=rule, source=source, at=self.now.at)
        if self.random.random() < 0.5:
            splits.reverse(
                key,
                refund_key=f"{key}:refund",
                refunded_net_minor=self.random.randint(1, net.amount_minor),
                target="clearing:card",
                at=self.now.at,
            )

    def stray(self, customer: Customer) -> None:
        """Money that matches no order: it becomes credits, or lies there."""
        payer = self.random.choice([customer, None])
        payments.settle(make_charge(None, customer=payer, occurred_at=self.now.at))

    # -- inside ------------------------------------------------------------------------------------

    def _someone(self) -> Customer:
        customer = make_customer()
        # Stamped by the database, which does not know what day it is here.
        Customer.objects.filter(pk=customer.pk).update(created_at=self.now.at)
        if self.random.random() < 0.5:
            give(customer, self.random.randint(10**5, 10**7) * ONE)
        return customer

    def _ordered(self, customer: Customer, pack: str, unit: Asset, rail: str) -> Order:
        item = credit_packs.sold(catalogue.current().credit_pack(pack), unit)
        return orders.open_order(customer, item, rail=rail)

    def _pay(self, order: Order, *, discount_minor: int = 0) -> None:
        way = rails.named(order.rail)
        if order.rail == "wallet":
            try:
                paying.pay(order.customer, order.pk)
            except (InsufficientFunds, InDebt) as refusal:
                self.log[-1] += f" {type(refusal).__name__}"
        elif isinstance(way, FakeRenewingRail) and order.recurring is not None:
            way.pay(order, discount_minor=discount_minor)
        else:
            self._settle(order)

    def _settle(self, order: Order, **terms: int) -> None:
        charge = make_charge(order, rail=order.rail, occurred_at=self.now.at, **terms)
        payments.settle(replace(charge, asset=order.unit))

    def _bill(self) -> None:
        way = rails.named("card")
        assert isinstance(way, FakeRenewingRail)
        kept = Subscription.objects.filter(rail="card").exclude(external_id="")
        for subscription in kept.order_by("pk"):
            if subscription.stop_requested_at is not None:
                way.stop(subscription)
                continue
            failing = subscription.status == SubscriptionStatus.PAST_DUE
            if failing and self.random.random() < 0.7:
                continue
            if subscription.status == SubscriptionStatus.SUSPENDED and self.random.random() < 0.5:
                way.delete(subscription)
                continue
            while subscription.renews and subscription.status != SubscriptionStatus.ENDED:
                if subscription.period_ends_at > self.now.at:
                    break
                if self.random.random() < 0.15:
                    way.fail(subscription)
                    break
                subscription = way.renew(subscription)

    def _payment(self, customer: Customer) -> Payment | None:
        found = list(Payment.objects.filter(customer=customer, order__isnull=False).order_by("pk"))
        return self.random.choice(found) if found else None


def lived(random: Random, steps: int) -> History:
    """A history of its own, within a transaction that the caller rolls back."""
    with clock.frozen(NOW) as now, History.ways():
        history = History(random, now)
        history.live(steps)
    return history
