"""A provider of our own making: the far side of a rail, faked at its edge."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from unittest import mock
from zoneinfo import ZoneInfo

from accounts.models import Customer
from billing import catalogue, intervals
from billing.errors import PaymentDeclined, RailUnavailable
from billing.models import InboundEvent, Order, Refund, Subscription, SubscriptionStatus
from billing.money import USD, Money, share_half_even
from billing.plans import Offer
from billing.services import payments, rails, renewals, subscriptions
from billing.services.charges import Charge, Reason, Term
from billing.services.rails import Finding, Handler, PayPage, Rail, RefundAnswer, Repair, Tell
from billing.services.renewing import ChangeCost, RenewingRail
from billing.services.subscriptions import Standing
from common import clock

_UTC = ZoneInfo("UTC")

AnyRail = TypeVar("AnyRail", bound=Rail)


class FakeRail(Rail):
    """Answers as told and remembers what it was asked."""

    name = "card"
    title = "Fake card"
    assets = (USD,)
    knows_customers = True

    def __init__(self) -> None:
        self.down = False
        self.refund_state = "succeeded"
        self.pages: list[Order] = []
        self.refunds: dict[str, RefundAnswer] = {}
        self.refund_calls: list[str] = []
        self.customers: list[Any] = []
        self.refreshed: list[Order] = []
        self.lose_answer = False
        self.key_spent = False
        self.acts: dict[str, Callable[[InboundEvent], None]] = {}
        # What reconciliation finds as long as it is in here; an act takes itself out.
        self.differences: list[Repair] = []
        # The same of a time that is not read any more.
        self.hidden: list[Repair] = []
        # What looking at a subject answers, where the list above is not enough.
        self.looks: dict[str, Callable[[], Repair | None]] = {}
        self.balance: Repair | None = None
        self.asked_for: tuple[datetime, datetime] | None = None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return self.acts

    def open_pay_page(self, order: Order) -> PayPage:
        self._reach()
        self.pages.append(order)
        return PayPage(f"cs_{order.pk}", f"https://pay.example.com/{order.pk}", None)

    def send_refund(self, refund: Refund) -> RefundAnswer:
        self._reach()
        self.refund_calls.append(refund.provider_key)
        if refund.provider_key not in self.refunds:
            self.refunds[refund.provider_key] = RefundAnswer(
                f"re_{len(self.refunds)}_{refund.pk}", self.refund_state
            )
        if self.lose_answer:
            self.lose_answer = False
            raise RailUnavailable(key_spent=self.key_spent)
        return self.refunds[refund.provider_key]

    def find_refund(self, refund: Refund) -> RefundAnswer | None:
        self._reach()
        ours = [made for key, made in self.refunds.items() if key.startswith(refund.key)]
        return ours[0] if ours else None

    def ensure_customer(self, customer: Any) -> None:
        self._reach()
        self.customers.append(customer)

    def refresh(self, order: Order) -> None:
        self._reach()
        self.refreshed.append(order)

    def reconcile(self, since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
        self.asked_for = (since, until)
        for one in list(self.differences):
            self._reach()
            tell(1)
            yield one.finding
        self._reach()

    def compare_balance(self) -> Finding | None:
        self._reach()
        return self.balance.finding if self.balance else None

    def look_again(self, kind: str, subject: str) -> Repair | None:
        self._reach()
        if subject in self.looks:
            return self.looks[subject]()
        named = [self.balance] if self.balance else []
        for one in [*self.differences, *self.hidden, *named]:
            if (one.finding.kind, one.finding.subject) == (kind, subject):
                return one
        return None

    def _reach(self) -> None:
        if self.down:
            raise RailUnavailable(key_spent=self.key_spent)


@dataclass
class Kept:
    """A subscription as the fake provider keeps it."""

    customer: Customer
    standing: Standing
    order: Order


class FakeRenewingRail(FakeRail, RenewingRail):
    """Keeps subscriptions in memory, bills them when told to, and reports them to the services.

    ``pay`` is what a customer does on the pay page; ``renew``, ``fail`` and ``delete`` are what
    the provider does by itself. ``declines`` makes charges fail, ``tax_bps`` adds tax to them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Kept] = {}
        self.declines = False
        self.tax_bps = 0
        self.calls: list[tuple[str, str]] = []
        self.portal_url = "https://portal.example.com/session"
        self._numbers = itertools.count(1)

    # -- what happens at the provider --------------------------------------------------------------

    def pay(self, order: Order, *, discount_minor: int = 0) -> Subscription:
        """The customer pays the first period on the pay page, or begins a trial there."""
        assert order.recurring is not None, "this order is not one of a renewing plan"
        now = clock.now()
        days = order.recurring["trial_days"]
        interval = order.snapshot["interval"]
        trial_ends_at = now + timedelta(days=days) if days else None
        standing = Standing(
            rail=self.name,
            external_id=f"sub_{next(self._numbers)}_{order.pk}",
            status=SubscriptionStatus.TRIALING if days else SubscriptionStatus.ACTIVE,
            plan_slug=order.product_slug,
            interval=interval,
            price_minor=order.subtotal_minor,
            anchor_at=trial_ends_at or now,
            period_starts_at=now,
            period_ends_at=trial_ends_at or intervals.start_of(now, interval, 1, _UTC),
            trial_ends_at=trial_ends_at,
        )
        kept = self.kept[standing.external_id] = Kept(order.customer, standing, order)
        amount_minor = 0 if days else order.subtotal_minor
        self._bill(kept, Reason.FIRST, now, amount_minor, discount_minor=discount_minor)
        return self._told(kept)

    def renew(self, subscription: Subscription) -> Subscription:
        """Bill the next period: as what was scheduled, and from where the last one ended.

        A cancelled one ends instead; with ``declines`` the payment fails.
        """
        kept = self._of(subscription)
        was = kept.standing
        if was.cancels_at is not None:
            return self.delete(subscription)
        if self.declines:
            return self.fail(subscription)
        slug, interval = was.next_plan or was.plan_slug, was.next_interval or was.interval
        price = catalogue.current().offer(slug, interval, USD).price
        anchor_at = was.anchor_at if interval == was.interval else was.period_ends_at
        number = intervals.number_at(anchor_at, interval, was.period_ends_at, _UTC)
        kept.standing = replace(
            was,
            status=SubscriptionStatus.ACTIVE,
            plan_slug=slug,
            interval=interval,
            price_minor=price.amount_minor,
            anchor_at=anchor_at,
            period_starts_at=was.period_ends_at,
            period_ends_at=intervals.start_of(anchor_at, interval, number + 1, _UTC),
            next_plan="",
            next_interval="",
        )
        self._bill(kept, Reason.RENEWAL, was.period_ends_at, price.amount_minor)
        return self._told(kept)

    def fail(self, subscription: Subscription) -> Subscription:
        """A renewal could not be charged."""
        return self._now(subscription, status=SubscriptionStatus.PAST_DUE)

    def delete(self, subscription: Subscription) -> Subscription:
        """It is over."""
        return self._now(subscription, status=SubscriptionStatus.ENDED, ended_at=clock.now())

    # -- what the portal asks for ------------------------------------------------------------------

    def refresh_subscription(self, subscription: Subscription) -> None:
        self._called("refresh", subscription)
        self._told(self._of(subscription))

    def cost_of_change(self, subscription: Subscription, offer: Offer, at: datetime) -> ChangeCost:
        self._reach()
        standing = self._of(subscription).standing
        length = round((standing.period_ends_at - standing.period_starts_at).total_seconds())
        left = round((standing.period_ends_at - at).total_seconds())
        paid_minor = 0 if standing.trial_ends_at else standing.price_minor
        unused = share_half_even(paid_minor, left, length)
        rest, next_at = offer.price.amount_minor, standing.period_ends_at
        if offer.interval == standing.interval:
            rest = share_half_even(rest, left, length)
        else:
            next_at = intervals.start_of(at, offer.interval, 1, _UTC)
        due = rest - unused
        parts = (
            (f"Unused time on {standing.plan_slug}", Money(-unused, USD)),
            (f"Remaining time on {offer.plan.slug}", Money(rest, USD)),
        )
        tax = self._tax_minor(due)
        return ChangeCost(parts, Money(due, USD), Money(tax, USD), Money(due + tax, USD), next_at)

    def change_now(
        self, subscription: Subscription, offer: Offer, at: datetime, order: Order | None
    ) -> None:
        self._called("change_now", subscription)
        if self.declines:
            raise PaymentDeclined
        kept = self._of(subscription)
        cost = self.cost_of_change(subscription, offer, at)
        is_same_cycle = offer.interval == kept.standing.interval
        kept.standing = replace(
            kept.standing,
            status=SubscriptionStatus.ACTIVE,
            plan_slug=offer.plan.slug,
            interval=str(offer.interval),
            price_minor=offer.price.amount_minor,
            anchor_at=kept.standing.anchor_at if is_same_cycle else at,
            period_starts_at=kept.standing.period_starts_at if is_same_cycle else at,
            period_ends_at=cost.next_at,
            trial_ends_at=None,
            next_plan="",
            next_interval="",
        )
        self._bill(kept, Reason.CHANGE, at, cost.subtotal.amount_minor)
        self._told(kept)

    def change_at_period_end(self, subscription: Subscription, offer: Offer) -> None:
        self._called("change_at_period_end", subscription)
        slug, interval = offer.plan.slug, str(offer.interval)
        self._now(subscription, next_plan=slug, next_interval=interval, cancels_at=None)

    def keep_plan(self, subscription: Subscription) -> None:
        self._called("keep_plan", subscription)
        self._now(subscription, next_plan="", next_interval="")

    def cancel_at_period_end(self, subscription: Subscription) -> None:
        self._called("cancel_at_period_end", subscription)
        ends_at = self._of(subscription).standing.period_ends_at
        self._now(subscription, cancels_at=ends_at, next_plan="", next_interval="")

    def resume(self, subscription: Subscription) -> None:
        self._called("resume", subscription)
        self._now(subscription, cancels_at=None)

    def stop(self, subscription: Subscription) -> None:
        self._called("stop", subscription)
        self.delete(subscription)

    def self_service_url(self, customer: Customer, return_url: str) -> str:
        self._reach()
        self.calls.append(("self_service_url", return_url))
        return self.portal_url

    # -- inside ------------------------------------------------------------------------------------

    def _called(self, what: str, subscription: Subscription) -> None:
        self._reach()
        self.calls.append((what, subscription.external_id))

    def _of(self, subscription: Subscription) -> Kept:
        return self.kept[subscription.external_id]

    def _now(self, subscription: Subscription, **changes: Any) -> Subscription:
        kept = self._of(subscription)
        kept.standing = replace(kept.standing, **changes)
        return self._told(kept)

    def _told(self, kept: Kept) -> Subscription:
        name = kept.standing.external_id
        heard = subscriptions.heard(self.name, name)
        assert subscriptions.record(kept.standing, heard_before=heard)
        return Subscription.objects.get(rail=self.name, external_id=name)

    def _tax_minor(self, net_minor: int) -> int:
        return share_half_even(max(net_minor, 0), self.tax_bps, 10_000)

    def _bill(
        self,
        kept: Kept,
        reason: Reason,
        starts_at: datetime,
        subtotal_minor: int,
        *,
        discount_minor: int = 0,
    ) -> None:
        """Charge a stretch and report it; what costs nothing is reported as delivered free."""
        number = next(self._numbers)
        term = self._term(kept, reason, starts_at, f"in_{number}_{kept.order.pk}")
        net_minor = subtotal_minor - discount_minor
        if net_minor <= 0:
            price = Money(kept.standing.price_minor, USD)
            renewals.settle_free(kept.customer, term, list_price=price, occurred_at=starts_at)
            return
        tax_minor = self._tax_minor(net_minor)
        payments.settle(
            Charge(
                rail=self.name,
                external_id=f"pi_{number}_{kept.order.pk}",
                asset=USD,
                amount_minor=net_minor + tax_minor,
                subtotal_minor=subtotal_minor,
                discount_minor=discount_minor,
                tax_minor=tax_minor,
                occurred_at=starts_at,
                customer=kept.customer,
                order_id=kept.order.pk,
                term=term,
            )
        )

    def _term(self, kept: Kept, reason: Reason, starts_at: datetime, invoice_id: str) -> Term:
        standing = kept.standing
        return Term(
            rail=self.name,
            subscription_id=standing.external_id,
            invoice_id=invoice_id,
            reason=reason,
            plan_slug=standing.plan_slug,
            interval=standing.interval,
            price_minor=standing.price_minor,
            asset=USD,
            starts_at=starts_at,
            ends_at=standing.period_ends_at,
            anchor_at=standing.anchor_at,
            is_trial=standing.status == SubscriptionStatus.TRIALING,
            order_id=kept.order.pk,
        )


@contextmanager
def only_rail(rail: AnyRail) -> Iterator[AnyRail]:
    """Make ``rail`` the only one there is for the length of the block."""
    with mock.patch.dict(rails._RAILS, {rail.name: rail}, clear=True):
        yield rail
