"""Years of a subscriber: acts at moments nobody planned, many of them around a renewal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from accounts.models import Customer
from billing import catalogue, tasks
from billing.errors import ChangeNotPossible, QuoteOutdated
from billing.models import Payment, Subscription
from billing.services import cancellations, orders, plan_changes, subscriptions
from billing.services.plan_changes import When
from common import clock
from tests.end_to_end.desk import Desk
from tests.factories import make_customer

PLANS = ("basic", "premium", "enterprise")
# Mostly months, so that much is renewed.
INTERVALS = ("month", "month", "month", "month", "year")
LEAST_CHARGE = 50


@dataclass
class Life:
    """One customer from the first subscription on; what they do is drawn from the seed."""

    desk: Desk
    seed: int
    begins_at: datetime
    time_zone: str = "UTC"
    # Acts are about that many days apart.
    pause_days: int = 45
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.customer: Customer = make_customer(time_zone=self.time_zone)
        self.next_at = self.begins_at

    def __str__(self) -> str:
        return f"life {self.seed} in {self.time_zone}:\n  " + "\n  ".join(self.log)

    def act(self) -> None:
        """Do something that can be done now, and choose when to do the next thing."""
        current = subscriptions.current(self.customer)
        if current is None:
            self._subscribe()
        else:
            self.random.choice(self._acts(current))(current)
        self.next_at = self._when(subscriptions.current(self.customer))

    def leave(self) -> None:
        """Let it end with what is paid."""
        current = subscriptions.current(self.customer)
        if current is not None:
            self._note("leave")
            cancellations.cancel(self.customer)

    # -- what they do -----------------------------------------------------------------------------

    def _acts(self, current: Subscription) -> list[Callable[[Subscription], None]]:
        acts: list[Callable[[Subscription], None]] = [self._change] * 6
        if current.next_plan_slug:
            acts += [self._keep_plan]
        if current.cancels_at:
            acts += [self._resume] * 4
        else:
            acts += [self._cancel]
        return acts

    def _subscribe(self) -> None:
        slug, interval = self.random.choice(PLANS), self.random.choice(INTERVALS)
        self._note(f"subscribe to {slug} {interval}")
        order = subscriptions.start(self.customer, slug, interval, rail="card")
        orders.pay_url(order)
        assert self.desk.till.pay(order.external_id) in ("paid", "free")
        tasks.refresh_order(str(order.pk))  # as the page does that they come back to
        order.refresh_from_db()
        assert order.delivered_at is not None, (self, order.status, order.delivery_error)

    def _change(self, current: Subscription) -> None:
        """Another plan or interval: what is quoted to be due now is charged, to the cent."""
        slug, interval = self.random.choice(self._others(current))
        self._note(f"change to {slug} {interval}")
        try:
            quote = plan_changes.quote(self.customer, slug, interval)
            payments = Payment.objects.filter(customer=self.customer)
            before = set(payments.values_list("pk", flat=True))
            plan_changes.confirm(self.customer, quote.token, placed_by=None)
            if self.random.random() < 0.2:
                plan_changes.confirm(self.customer, quote.token, placed_by=None)
        except (ChangeNotPossible, QuoteOutdated) as refusal:
            self.log[-1] += f" ({refusal.message})"
            return
        self.log[-1] += f" {quote.when} for {quote.total}"
        if quote.when == When.NOW:
            self._require_charged(quote, before)

    def _require_charged(self, quote: plan_changes.Quote, before: set[UUID]) -> None:
        paid = Payment.objects.filter(customer=self.customer, order__snapshot__has_key="change")
        fresh = [one.amount for one in paid if one.pk not in before]
        # Stripe adds what is too little for a card to the next invoice.
        assert fresh == ([quote.total] if quote.total.amount_minor >= LEAST_CHARGE else []), self

    def _others(self, current: Subscription) -> Sequence[tuple[str, str]]:
        all_of_them = [(slug, interval) for slug in PLANS for interval in INTERVALS]
        return [one for one in all_of_them if one != (current.plan_slug, current.interval)]

    def _keep_plan(self, current: Subscription) -> None:
        self._note("keep the plan")
        plan_changes.keep_plan(self.customer)

    def _cancel(self, current: Subscription) -> None:
        self._note("cancel")
        assert cancellations.cancel(self.customer).cancels_at is not None, self

    def _resume(self, current: Subscription) -> None:
        self._note("resume")
        assert cancellations.resume(self.customer).cancels_at is None, self

    # -- when they do it --------------------------------------------------------------------------

    def _when(self, current: Subscription | None) -> datetime:
        now = clock.now()
        usual = now + timedelta(seconds=self.random.expovariate(1 / (self.pause_days * 86_400)))
        if current is None or self.random.random() < 0.6:
            return usual
        # A draft of the renewal's invoice lies for an hour before it is charged.
        near = current.period_ends_at + timedelta(seconds=self.random.randint(-120, 4_000))
        return max(now, min(near, now + timedelta(days=120)))

    def _note(self, what: str) -> None:
        self.log.append(f"{clock.now():%Y-%m-%d %H:%M:%S} {what}")


def live(desk: Desk, lives: Sequence[Life], until: datetime) -> None:
    """Let everybody act when their moment comes, and act on the news in between."""
    while True:
        life = min(lives, key=lambda one: one.next_at)
        if life.next_at >= until:
            break
        desk.wait_until(life.next_at)
        desk.bring()
        life.act()
        if desk.random.random() < 0.3:
            desk.work()
    desk.wait_until(until)
    desk.bring(orderly=True)


def end_all(desk: Desk, lives: Sequence[Life]) -> None:
    """Let everybody leave and every paid second pass, and book what it earned."""
    for life in lives:
        life.leave()
    desk.wait_until(clock.now() + timedelta(days=366 + 31))
    desk.bring(orderly=True)
    desk.work()


def trial_variables(days: int) -> dict[str, str]:
    """What makes the plans of a catalogue begin with a free trial."""
    names = [f"{slug.upper()}_TRIAL_DAYS" for slug in PLANS]
    assert all(name in catalogue.VARIABLES for name in names)
    return dict.fromkeys(names, str(days))
