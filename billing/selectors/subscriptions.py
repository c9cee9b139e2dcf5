"""A customer's subscriptions and what was billed for them, in the customer's words."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import TextChoices
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from accounts.models import Customer
from billing import catalogue
from billing.models import PLAN, PeriodKind, Subscription, SubscriptionPeriod, SubscriptionStatus
from billing.money import Money
from billing.plans import Interval, offer_title
from billing.selectors.orders import Purchase, purchase_of
from billing.titles import order_title, plan_name
from common import clock
from common.errors import InvalidInput
from common.pagination import CursorInvalid


class Phase(TextChoices):
    """Where a subscription stands, as a customer would say it."""

    TRIAL = "trial", pgettext_lazy("a subscription", "Free trial")
    ACTIVE = "active", pgettext_lazy("a subscription", "Active")
    ENDING = "ending", pgettext_lazy("a subscription", "Cancelled, still active")
    PREPAID = "prepaid", pgettext_lazy("a subscription", "Prepaid")
    PAST_DUE = "past_due", pgettext_lazy("a subscription", "Payment failed")
    SUSPENDED = "suspended", pgettext_lazy("a subscription", "Suspended")
    PAUSED = "paused", pgettext_lazy("a subscription", "Paused")
    ENDED = "ended", pgettext_lazy("a subscription", "Ended")


class NextKind(TextChoices):
    """What happens to a subscription next."""

    RENEWS = "renews"
    CHANGES = "changes"
    TRIAL_ENDS = "trial_ends"
    ENDS = "ends"
    ACCESS_ENDS = "access_ends"
    WAITS = "waits"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens next and when; ``price`` is due then, before tax and discounts."""

    kind: NextKind
    at: datetime | None
    price: Money | None
    sentence: str


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A subscription, where it stands and what happens next."""

    subscription: Subscription
    plan_name: str
    phase: Phase
    next: NextStep
    gives_access: bool
    # Until when a failed payment leaves access; None while nothing failed.
    grace_ends_at: datetime | None

    @property
    def title(self) -> str:
        """E.g. ``Premium, per year``."""
        return offer_title(self.plan_name, Interval(self.subscription.interval))

    @property
    def price_text(self) -> str:
        """E.g. ``$29.99 per month``."""
        row = self.subscription
        words = {"price": row.price, "interval": Interval(row.interval).label}
        return _("%(price)s per %(interval)s") % words

    @property
    def is_failing(self) -> bool:
        """Whether a payment failed that is still due."""
        return self.phase in (Phase.PAST_DUE, Phase.SUSPENDED)

    @property
    def can_change(self) -> bool:
        """Whether its plan may be changed now: what is set to end is resumed first."""
        return self.phase in (Phase.TRIAL, Phase.ACTIVE, Phase.PREPAID)

    @property
    def can_cancel(self) -> bool:
        """Whether it renews, and may be told not to."""
        return self._renews and self.subscription.cancels_at is None

    @property
    def can_resume(self) -> bool:
        """Whether it is set to end, and may renew after all."""
        return self._renews and self.subscription.cancels_at is not None

    @property
    def can_keep_plan(self) -> bool:
        """Whether it waits to become another plan, and may stay what it is."""
        return self.can_change and bool(self.subscription.next_plan_slug)

    @property
    def _renews(self) -> bool:
        return self.subscription.renews and self.phase != Phase.ENDED


@dataclass(frozen=True, slots=True)
class Overview:
    """The subscription that counts, others that run beside it, and the last that ended."""

    current: SubscriptionRow | None
    others: Sequence[SubscriptionRow]
    last_ended: SubscriptionRow | None

    @property
    def live(self) -> list[SubscriptionRow]:
        """All that have not ended, the one that counts first."""
        return [*([self.current] if self.current else []), *self.others]


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A stretch of time that was billed, and the purchase that billed it."""

    period: SubscriptionPeriod
    title: str
    purchase: Purchase | None

    @property
    def is_trial(self) -> bool:
        """Whether it was a free trial."""
        return self.period.kind == PeriodKind.TRIAL

    @property
    def is_cut(self) -> bool:
        """Whether a plan change or a refund ended it early."""
        return self.period.ends_at < self.period.billed_until_at

    @property
    def is_replaced(self) -> bool:
        """Whether that happened before it began, so that nothing is left of it."""
        return self.period.ends_at == self.period.starts_at


def subscription_row(subscription: Subscription) -> SubscriptionRow:
    """One subscription as it stands now, its dates in its customer's time zone."""
    now = clock.now()
    phase = _phase(subscription, now)
    return SubscriptionRow(
        subscription=subscription,
        plan_name=plan_name(subscription.plan_slug),
        phase=phase,
        next=_next(subscription, phase, subscription.customer.zone),
        gives_access=phase != Phase.ENDED and subscription.gives_access(now),
        grace_ends_at=_grace_ends_at(subscription),
    )


def subscription_overview(
    customer: Customer, live: Sequence[Subscription], current: Subscription | None
) -> Overview:
    """What a customer has: ``live`` are those that have not ended, ``current`` counts."""
    for one in live:
        one.customer = customer
    rows = [subscription_row(one) for one in live]
    counts = [row for row in rows if current is not None and row.subscription.pk == current.pk]
    return Overview(
        current=counts[0] if counts else None,
        others=[row for row in rows if row not in counts],
        last_ended=None if rows else _last_ended(customer),
    )


def subscription_periods(
    customer: Customer, *, limit: int, cursor: str | None = None
) -> tuple[list[PeriodRow], str | None]:
    """What was billed for the customer's subscriptions, newest first; and where to go on from.

    Three queries however long the list. Raises CursorInvalid.
    """
    found = SubscriptionPeriod.objects.filter(subscription__customer=customer)
    found = found.filter(subscription__subject=PLAN)
    before = _decode(cursor)
    if before is not None:
        found = found.filter(pk__lt=before)
    found = found.select_related("order").prefetch_related("order__payments__disputes")
    rows = [_period_row(one) for one in found.order_by("-pk")[: limit + 1]]
    more = len(rows) > limit
    rows = rows[:limit]
    return rows, str(rows[-1].period.pk) if more else None


def period_of(purchase: Purchase) -> SubscriptionPeriod | None:
    """The stretch of a subscription that an order pays; None for other orders, or not yet."""
    if not purchase.is_plan:
        return None
    found = SubscriptionPeriod.objects.filter(order=purchase.order)
    return found.select_related("subscription__customer").first()


def subscription_of(purchase: Purchase) -> SubscriptionRow | None:
    """The subscription that a plan's order pays; None for other orders, or not yet."""
    period = period_of(purchase)
    return subscription_row(period.subscription) if period else None


def _last_ended(customer: Customer) -> SubscriptionRow | None:
    ended = Subscription.objects.filter(customer=customer, subject=PLAN).order_by("-pk").first()
    if ended is None:
        return None
    ended.customer = customer
    return subscription_row(ended)


def _period_row(period: SubscriptionPeriod) -> PeriodRow:
    title = offer_title(plan_name(period.plan_slug), Interval(period.interval))
    if period.order is not None and "change" in period.order.snapshot:
        title = order_title(period.order)
    purchase = purchase_of(period.order) if period.order else None
    return PeriodRow(period, title, purchase)


def _phase(subscription: Subscription, now: datetime) -> Phase:
    ends_at = subscription.access_ends_at
    if subscription.status == SubscriptionStatus.ENDED or (ends_at is not None and ends_at <= now):
        return Phase.ENDED
    if subscription.frozen_by:
        return Phase.PAUSED
    if subscription.status == SubscriptionStatus.SUSPENDED:
        return Phase.SUSPENDED
    if subscription.status == SubscriptionStatus.PAST_DUE:
        return Phase.PAST_DUE
    if not subscription.renews:
        return Phase.PREPAID
    if subscription.cancels_at is not None:
        return Phase.ENDING
    is_trial = subscription.status == SubscriptionStatus.TRIALING
    return Phase.TRIAL if is_trial else Phase.ACTIVE


def _next(subscription: Subscription, phase: Phase, zone: ZoneInfo) -> NextStep:
    match phase:
        case Phase.ENDED:
            at = subscription.ended_at or subscription.access_ends_at
            return NextStep(
                NextKind.NOTHING, None, None, _("Ended on %(day)s.") % {"day": _day(at, zone)}
            )
        case Phase.PAUSED:
            sentence = _("Paused while one of its payments is disputed or being refunded.")
            return NextStep(NextKind.WAITS, None, None, sentence)
        case Phase.PAST_DUE | Phase.SUSPENDED:
            return _next_of_failing(subscription, phase, zone)
        case Phase.PREPAID:
            at = subscription.access_ends_at
            sentence = _("Paid until %(day)s. It does not renew by itself.")
            return NextStep(NextKind.ENDS, at, None, sentence % {"day": _day(at, zone)})
        case Phase.ENDING:
            at = subscription.cancels_at
            sentence = _("Ends on %(day)s. Nothing more will be charged.")
            return NextStep(NextKind.ENDS, at, None, sentence % {"day": _day(at, zone)})
        case _:
            return _next_charge(subscription, phase, zone)


def _next_of_failing(subscription: Subscription, phase: Phase, zone: ZoneInfo) -> NextStep:
    at = _grace_ends_at(subscription)
    day = {"day": _day(at, zone)}
    if phase == Phase.SUSPENDED:
        sentence = _("Suspended since %(day)s: a payment failed and is still due.") % day
        return NextStep(NextKind.WAITS, None, subscription.price, sentence)
    sentence = _("Access stays until %(day)s; the payment is tried again.") % day
    return NextStep(NextKind.ACCESS_ENDS, at, subscription.price, sentence)


def _next_charge(subscription: Subscription, phase: Phase, zone: ZoneInfo) -> NextStep:
    at = subscription.period_ends_at
    words = {"day": _day(at, zone), "price": subscription.price}
    if subscription.next_plan_slug:
        return _next_change(subscription, at, words["day"])
    if phase == Phase.TRIAL:
        words["interval"] = Interval(subscription.interval).label
        sentence = _("Free until %(day)s, then %(price)s per %(interval)s.") % words
        return NextStep(NextKind.TRIAL_ENDS, at, subscription.price, sentence)
    sentence = _("Renews on %(day)s for %(price)s.") % words
    return NextStep(NextKind.RENEWS, at, subscription.price, sentence)


def _next_change(subscription: Subscription, at: datetime, day: object) -> NextStep:
    price = _next_price(subscription)
    words = {
        "plan": plan_name(subscription.next_plan_slug),
        "interval": Interval(subscription.next_interval or subscription.interval).label,
        "day": day,
        "price": price,
    }
    if price:
        sentence = _("Changes to %(plan)s, per %(interval)s, on %(day)s, for %(price)s.")
    else:
        sentence = _("Changes to %(plan)s, per %(interval)s, on %(day)s.")
    return NextStep(NextKind.CHANGES, at, price, sentence % words)


def _next_price(subscription: Subscription) -> Money | None:
    """What the plan that is waited for costs today; None when it is not sold any more."""
    interval = subscription.next_interval or subscription.interval
    try:
        offer = catalogue.current().offer(subscription.next_plan_slug, interval, subscription.unit)
    except InvalidInput:
        return None
    return offer.price


def _grace_ends_at(subscription: Subscription) -> datetime | None:
    since = subscription.past_due_since
    if since is None:
        return None
    return since + timedelta(days=catalogue.current().dunning_grace_days)


def _day(at: datetime | None, zone: ZoneInfo) -> str:
    return date_format(at.astimezone(zone), "DATE_FORMAT") if at else _("an unknown day")


def _decode(cursor: str | None) -> uuid.UUID | None:
    if not cursor:
        return None
    try:
        return uuid.UUID(cursor)
    except ValueError:
        raise CursorInvalid from None
