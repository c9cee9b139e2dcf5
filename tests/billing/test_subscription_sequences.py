"""Lives of subscriptions, anything in any order: after each act every cent and second adds up.

A failure names its seed; run it again with LIFE_SEED=<seed>.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random
from unittest import mock

import pytest
from django.db.models import Sum

from billing import selectors
from billing.errors import (
    AlreadySubscribed,
    ChangeNotPossible,
    NoSubscription,
    NotRefundable,
)
from billing.models import (
    DisputeState,
    Order,
    Payment,
    Refund,
    RefundState,
    Subscription,
    SubscriptionPeriod,
    SubscriptionStatus,
)
from billing.money import CREDIT, USD
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.services import (
    disputes,
    dunning,
    payments,
    plan_changes,
    prepaid,
    rails,
    refunds,
    subscription_periods,
    subscriptions,
)
from billing.services.disputes import Claim
from billing.services.rails import RefundAnswer
from common.clock import FrozenClock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import ONE, Chain, balance_of, differences, rich, spendable
from tests.factories import NOW, make_charge

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]

SEQUENCES = 20
PLANS = ("basic", "premium", "enterprise")
ALL = 10**8 * ONE


@pytest.fixture(autouse=True)
def _rails() -> Iterator[None]:
    ways = {"wallet": WalletRail(), "chain": Chain(), "card": FakeRenewingRail()}
    with mock.patch.dict(rails._RAILS, ways, clear=True):
        yield


def seeds() -> list[int]:
    wanted = os.environ.get("LIFE_SEED")
    return [int(wanted)] if wanted else list(range(SEQUENCES))


@pytest.mark.parametrize("rail", ["wallet", "chain", "card"])
@pytest.mark.parametrize("seed", seeds())
def test_whatever_happens_adds_up(seed: int, rail: str, now: FrozenClock) -> None:
    life = Life(Random(f"{seed} {rail}"), rail, now)
    life.buy()
    for _ in range(life.random.randint(6, 16)):
        life.step()
        life.check()
    life.end()


class Life:
    """One customer on one rail."""

    def __init__(self, random: Random, rail: str, now: FrozenClock) -> None:
        self.random, self.rail, self.now = random, rail, now
        zone = random.choice(["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Apia"])
        self.customer = rich(ALL, time_zone=zone)
        self.unit = CREDIT if rail == "wallet" else USD
        self.log: list[str] = [zone]

    def step(self) -> None:
        acts: list[Callable[[], None]] = [self.wait, self.wait, self.buy, self.change, self.change]
        acts.append(self.refund)
        if self.rail != "wallet":
            acts += [self.answer, self.answer, self.dispute]
        act = self.random.choice(acts)
        self.log.append(act.__name__)
        act()

    def wait(self) -> None:
        self.now.move(timedelta(seconds=self.random.choice([1, 3600, 86_400 * 5, 86_400 * 17])))
        if self.rail == "card":
            self._bill()
        prepaid.end_over()
        dunning.run()
        subscription_periods.recognise_due()

    def buy(self) -> None:
        """A first period, or one more."""
        known = subscriptions.current(self.customer)
        plan = known.plan_slug if known else self.random.choice(PLANS[:2])
        try:
            order = subscriptions.start(self.customer, plan, "month", rail=self.rail)
        except AlreadySubscribed:
            self.log[-1] += " refused"
            return
        self._pay(order)

    def change(self) -> None:
        known = subscriptions.current(self.customer)
        plan = self.random.choice([one for one in PLANS if not known or one != known.plan_slug])
        self.log[-1] += f" {plan}"
        try:
            quote = plan_changes.quote(self.customer, plan, "month")
            order = plan_changes.confirm(self.customer, quote.token, placed_by=None).order
        except (NoSubscription, ChangeNotPossible) as refusal:
            self.log[-1] += f" {type(refusal).__name__}"
            return
        if order is not None and order.is_open:
            self._pay(order)

    def refund(self) -> None:
        payment = self._payment()
        if payment is None:
            return
        left = payment.refundable.amount_minor
        amount = self.random.choice([None, None, 1, left // 3, left])
        forced = amount is not None
        self.log[-1] += f" {amount} of {left} {payment.pk}"
        try:
            refund = refunds.request(payment.pk, reason="test", amount_minor=amount, forced=forced)
        except NotRefundable:
            self.log[-1] += " refused"
            return
        if self.rail == "wallet":
            refunds.send(refund.pk)

    def answer(self) -> None:
        """The provider moves one refund on, or repeats itself."""
        mine = Refund.objects.filter(payment__customer=self.customer)
        waiting = list(mine.exclude(state=RefundState.FAILED).order_by("pk"))
        if waiting:
            refund = self.random.choice(waiting)
            state = self.random.choice(["succeeded", "succeeded", "failed"])
            self.log[-1] += f" {refund.amount_minor} {refund.state} -> {state}"
            refunds.record(refund.pk, RefundAnswer(f"re_{refund.pk}", state))

    def dispute(self) -> None:
        """A dispute is opened, won, lost, or turns."""
        payment = self._payment()
        if payment is None:
            return
        known = payment.disputes.first()
        states = [DisputeState.WON, DisputeState.LOST] if known else [DisputeState.OPEN]
        state = self.random.choice(states)
        taken = payment.amount_minor
        back = known.reinstated_minor if known else 0
        withdrawn = known.withdrawn_minor if known else taken
        if state == DisputeState.WON:
            back = withdrawn
        elif back == withdrawn and known:  # it was won before, and is lost after all
            withdrawn += taken
        self.log[-1] += f" {state} {payment.pk}"
        disputes.record(
            payment.pk,
            Claim(
                external_id=f"dp_{payment.pk}",
                state=state,
                provider_status=str(state),
                reason="test",
                amount_minor=taken,
                withdrawn_minor=withdrawn,
                reinstated_minor=back,
                fee_minor=0,
                opened_at=NOW,
                evidence_due_at=None,
            ),
        )

    # -- what must be true ------------------------------------------------------------------------

    def check(self) -> None:
        assert differences() == [], self.log
        if self.rail == "wallet":
            held = balance_of("deferred") + balance_of("sales")
            assert spendable(self.customer) + held == ALL, self.log
        self._periods_hold_the_orders_money()
        self._access_follows_time()

    def _periods_hold_the_orders_money(self) -> None:
        """What is in periods is what was paid, less what went back."""
        mine = SubscriptionPeriod.objects.filter(subscription__customer=self.customer)
        kept = sum(period.kept_minor for period in mine)
        paid = Payment.objects.filter(customer=self.customer, order__period__isnull=False)
        sums = paid.aggregate(came=Sum("amount_minor"), gone=Sum("refunded_minor"))
        assert kept == (sums["came"] or 0) - (sums["gone"] or 0), self.log

    def _access_follows_time(self) -> None:
        """Access is a period that runs now, of a subscription that is open."""
        running = SubscriptionPeriod.objects.filter(
            subscription__customer=self.customer,
            starts_at__lte=self.now.at,
            ends_at__gt=self.now.at,
        ).exclude(subscription__status=SubscriptionStatus.ENDED)
        open_ones = [one for one in running if not one.subscription.frozen_by]
        has_plan = selectors.entitlements(self.customer).plan.slug != "free"
        assert has_plan == bool(open_ones), self.log

    def end(self) -> None:
        """Long after, whatever was kept is earned."""
        for _ in range(6):
            self.now.move(timedelta(days=400))
            prepaid.end_over()
            while subscription_periods.recognise_due():
                pass
        assert balance_of("deferred", self.unit) == 0, self.log
        self.check_books()

    def check_books(self) -> None:
        assert differences() == [], self.log

    # -- inside -----------------------------------------------------------------------------------

    def _pay(self, order: Order) -> None:
        way = rails.named(self.rail)
        if self.rail == "wallet":
            paying.pay(self.customer, order.pk)
        elif isinstance(way, FakeRenewingRail) and order.recurring is not None:
            way.pay(order)
        else:  # also a card's, for time that nothing renews any more
            payments.settle(make_charge(order, rail=self.rail, occurred_at=self.now.at))

    def _bill(self) -> None:
        """What is due at the provider is charged, and what it was told to stop is stopped."""
        way = rails.named("card")
        assert isinstance(way, FakeRenewingRail)
        for subscription in Subscription.objects.filter(customer=self.customer):
            if subscription.stop_requested_at is not None:
                way.stop(subscription)
                continue
            while subscription.renews and subscription.status != SubscriptionStatus.ENDED:
                if subscription.period_ends_at > self.now.at:
                    break
                subscription = way.renew(subscription)

    def _payment(self) -> Payment | None:
        mine = list(Payment.objects.filter(customer=self.customer, order__isnull=False))
        return self.random.choice(mine) if mine else None
