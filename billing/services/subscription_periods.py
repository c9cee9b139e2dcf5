"""Stretches of time that were billed: added once, cut by plan changes, earned by the second."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from billing import ledger
from billing.models import Code, Order, PeriodKind, Subscription, SubscriptionPeriod
from billing.services.charges import Reason
from common import clock

# Revenue is booked at most this often per period, and when it is over.
RECOGNISE_EVERY = timedelta(days=1)
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is billed: from when to when, as which plan, and by what (invoice or order)."""

    source: str
    kind: PeriodKind
    plan_slug: str
    interval: str
    starts_at: datetime
    ends_at: datetime
    # Another plan from then on, charged by the rail within a period.
    is_change: bool = False


def add(subscription: Subscription, stretch: Stretch, *, order: Order | None) -> SubscriptionPeriod:
    """Write a billed stretch of a locked subscription down, once per source.

    Earlier ones that reach into it are cut at its start, and carry here what they have not
    earned by then. News come in any order: a change of plan within this stretch that is here
    already ends it, and gets what this one has not earned by then.
    """
    known = subscription.periods.filter(source=stretch.source).first()
    if known is not None:
        return known
    changes = list(changes_within(subscription, stretch))
    change = changes[0] if changes else None
    earlier = overlapping(subscription, stretch).exclude(pk__in=[one.pk for one in changes])
    cut = [(one, _cut(one, stretch.starts_at)) for one in earlier.select_for_update()]
    for one, _ in cut:
        one.save(update_fields=["carried_out_minor", "ends_at"])
    period = _billed(subscription, stretch, order, carried_minor=sum(minor for _, minor in cut))
    left_minor = _cut(period, change.starts_at) if change else 0
    period.carried_to = change if left_minor else None
    period.save(force_insert=True)
    for one, minor in cut:
        if minor:
            one.carried_to = period
            one.save(update_fields=["carried_to"])
    if change is not None and left_minor:
        _carry_on(change, left_minor)
    return period


def _billed(
    subscription: Subscription, stretch: Stretch, order: Order | None, *, carried_minor: int
) -> SubscriptionPeriod:
    return SubscriptionPeriod(
        subscription=subscription,
        source=stretch.source,
        kind=stretch.kind,
        plan_slug=stretch.plan_slug,
        interval=stretch.interval,
        starts_at=stretch.starts_at,
        ends_at=stretch.ends_at,
        billed_until_at=stretch.ends_at,
        order=order,
        asset=order.asset if order else subscription.asset,
        cost_minor=carried_minor + (order.net.amount_minor if order else 0),
        carried_in_minor=carried_minor,
        recognised_at=stretch.starts_at,
    )


def overlapping(subscription: Subscription, stretch: Stretch) -> QuerySet[SubscriptionPeriod]:
    """Stretches that are billed already and share time with this one, oldest first."""
    shared = subscription.periods.filter(
        starts_at__lt=stretch.ends_at, ends_at__gt=stretch.starts_at
    )
    return shared.exclude(ends_at__lte=F("starts_at")).order_by("starts_at")


def changes_within(subscription: Subscription, stretch: Stretch) -> QuerySet[SubscriptionPeriod]:
    """Of those the rail's changes of plan that took over from it, although heard of before it."""
    changes = overlapping(subscription, stretch).filter(
        order__snapshot__term__reason=str(Reason.CHANGE)
    )
    if stretch.is_change:
        return changes.filter(starts_at__gt=stretch.starts_at)
    return changes.filter(starts_at__gte=stretch.starts_at)


def end_early(period: SubscriptionPeriod, at: datetime) -> None:
    """Cut a locked period short; its money stays with it."""
    period.ends_at = max(period.starts_at, min(period.ends_at, at))
    period.save(update_fields=["ends_at"])


def _cut(period: SubscriptionPeriod, at: datetime) -> int:
    """End a period early, unsaved; returns what it had not earned by then, which it carries on."""
    earned = max(period.earned_minor(at), period.recognised_minor)
    unearned = period.kept_minor - earned
    period.carried_out_minor += unearned
    period.ends_at = max(period.starts_at, at)
    return unearned


def _carry_on(period: SubscriptionPeriod, amount_minor: int) -> None:
    """Give a period money of the one before; what it was cut short of goes on to the next."""
    period.cost_minor += amount_minor
    period.carried_in_minor += amount_minor
    following = period.carried_to
    if following is None:
        period.save(update_fields=["cost_minor", "carried_in_minor"])
        return
    past, length = period.ends_at - period.starts_at, period.billed_until_at - period.starts_at
    left_minor = amount_minor - amount_minor * (past // TICK) // (length // TICK)
    period.carried_out_minor += left_minor
    period.save(update_fields=["cost_minor", "carried_in_minor", "carried_out_minor"])
    _carry_on(following, left_minor)


def recognise_due(limit: int = 500) -> int:
    """Book what up to ``limit`` periods have earned since last time; returns how many moved."""
    now = clock.now()
    due = SubscriptionPeriod.objects.filter(
        Q(recognised_at__lte=now - RECOGNISE_EVERY) | Q(ends_at__lte=now),
        starts_at__lt=now,
        cost_minor__gt=F("recognised_minor") + F("refunded_minor") + F("carried_out_minor"),
    )
    ids = due.order_by("recognised_at").values_list("pk", flat=True)[:limit]
    return sum(recognise(pk) for pk in list(ids))


@transaction.atomic
def recognise(period_id: UUID) -> bool:
    """Move what a period has earned by now from deferred to sales, cumulative to the cent."""
    period = SubscriptionPeriod.objects.select_for_update().get(pk=period_id)
    now = clock.now()
    difference = period.earned_minor(now) - period.recognised_minor
    period.recognised_at = now
    if difference <= 0:
        period.save(update_fields=["recognised_at"])
        return False
    leg = ledger.Leg(
        ledger.system_account("deferred", period.unit),
        ledger.system_account("sales", period.unit),
        difference,
        Code.RECOGNISE,
        f"period:{period.pk}:sales:{period.revenue_bookings}",
    )
    ledger.post([leg], group=f"period:{period.pk}:revenue", occurred_at=now)
    period.recognised_minor += difference
    period.revenue_bookings += 1
    period.save(update_fields=["recognised_minor", "revenue_bookings", "recognised_at"])
    return True
