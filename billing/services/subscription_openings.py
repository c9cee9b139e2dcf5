"""Which subscription a paid order belongs to, and which stretch of it the order pays."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from billing.errors import ChangeNotPossible
from billing.intervals import number_at, start_of
from billing.models import Order, PeriodKind, Subscription, SubscriptionStatus
from billing.services import subscription_periods, subscriptions
from billing.services.charges import Reason
from billing.services.subscription_periods import Stretch
from common import clock

# The difference is counted from when it was quoted.
CHANGE_LASTS = timedelta(hours=1)
# Kept in English, and translated where they are shown.
OVER = gettext_noop("The time that was to be changed is over.")
CHARGED = gettext_noop("This is charged to the subscription itself, and not paid by itself.")
CHANGED = gettext_noop("The subscription has changed since this was ordered. Please order again.")


def open_or_extend(order: Order) -> tuple[Subscription, Stretch]:
    """The order's subscription, locked, made if it is the first; and the stretch it pays.

    Prepaid time runs in the customer's own time zone, a rail's as the rail says.
    """
    if "term" in order.snapshot:
        return _of_rail(order)
    known = _prepaid(order)
    if "change" in order.snapshot:
        if known is None:
            raise ChangeNotPossible(_(OVER))
        return known, _rest_at_new_plan(order, known)
    if known is None:
        return _new_prepaid(order)
    return known, _one_more(order, known)


def why_outdated(order: Order) -> str:
    """Why an open order of prepaid time no longer fits its subscription; empty while it does."""
    change = order.snapshot.get("change")
    named = change["subscription"] if change else order.snapshot.get("extends")
    if named is None:
        return ""
    known = Subscription.objects.get(pk=named)
    if known.renews:
        return CHARGED
    is_over = known.status == SubscriptionStatus.ENDED or known.period_ends_at <= clock.now()
    if is_over:
        # One more period begins anew; there is nothing left to change.
        return OVER if change else ""
    plan_slug = change["from"] if change else order.product_slug
    if (known.plan_slug, known.interval) != (plan_slug, order.snapshot["interval"]):
        return CHANGED
    if change is None:
        return ""
    is_late = clock.now() - _moment(change["at"]) > CHANGE_LASTS
    return CHANGED if is_late or known.period_ends_at != _moment(change["until"]) else ""


# -- billed by the rail ---------------------------------------------------------------------------


def _of_rail(order: Order) -> tuple[Subscription, Stretch]:
    term = order.snapshot["term"]
    subscription = subscriptions.lock_external(order.rail, term["subscription"])
    stretch = Stretch(
        source=term["invoice"],
        kind=_kind(order),
        plan_slug=order.product_slug,
        interval=order.snapshot["interval"],
        starts_at=_moment(term["starts_at"]),
        ends_at=_moment(term["ends_at"]),
        is_change=term["reason"] == Reason.CHANGE,
    )
    if subscription is None:
        subscription = _create(
            order, stretch, external_id=term["subscription"], renews=True, zone="UTC"
        )
        return subscription, stretch
    if stretch.starts_at < subscription.started_at:  # its first money comes after a later one
        subscription.started_at = stretch.starts_at
        subscription.save(update_fields=["started_at"])
    is_newest = stretch.ends_at >= subscription.period_ends_at
    if is_newest and not subscription_periods.changes_within(subscription, stretch).exists():
        _move_on(subscription, order, stretch)
    return subscription, stretch


def _kind(order: Order) -> PeriodKind:
    if order.snapshot.get("term", {}).get("is_trial"):
        return PeriodKind.TRIAL
    return PeriodKind.PAID if order.total.amount_minor else PeriodKind.FREE


# -- prepaid --------------------------------------------------------------------------------------


def _prepaid(order: Order) -> Subscription | None:
    """The live subscription that an order was meant to extend or change."""
    change = order.snapshot.get("change")
    named = change["subscription"] if change else order.snapshot.get("extends")
    if named is None:
        return None
    subscription = subscriptions.lock(UUID(named))
    is_live = subscription.status != SubscriptionStatus.ENDED
    return subscription if is_live and subscription.period_ends_at > _paid_at(order) else None


def _new_prepaid(order: Order) -> tuple[Subscription, Stretch]:
    starts_at = _paid_at(order)
    zone = order.customer.zone
    ends_at = start_of(starts_at, order.snapshot["interval"], 1, zone)
    stretch = _stretch(order, starts_at, ends_at)
    made = _create(order, stretch, external_id="", renews=False, zone=order.customer.time_zone)
    return made, stretch


def _one_more(order: Order, known: Subscription) -> Stretch:
    """The next period, counted from the anchor: it begins when what is paid ends."""
    number = number_at(known.anchor_at, known.interval, known.period_ends_at, known.zone)
    ends_at = start_of(known.anchor_at, known.interval, number + 1, known.zone)
    stretch = _stretch(order, known.period_ends_at, ends_at)
    known.price_minor = order.subtotal_minor
    known.period_ends_at = ends_at
    known.cancels_at = None
    known.save(update_fields=["price_minor", "period_ends_at", "cancels_at"])
    return stretch


def _rest_at_new_plan(order: Order, known: Subscription) -> Stretch:
    at = max(_moment(order.snapshot["change"]["at"]), known.period_starts_at)
    stretch = _stretch(order, at, known.period_ends_at)
    known.plan_slug = order.product_slug
    known.price_minor = order.snapshot.get("price_minor", known.price_minor)
    known.save(update_fields=["plan_slug", "price_minor"])
    return stretch


def _stretch(order: Order, starts_at: datetime, ends_at: datetime) -> Stretch:
    interval = order.snapshot["interval"]
    source = f"order:{order.pk}"
    return Stretch(source, _kind(order), order.product_slug, interval, starts_at, ends_at)


# -- both -----------------------------------------------------------------------------------------


def _create(
    order: Order, stretch: Stretch, *, external_id: str, renews: bool, zone: str
) -> Subscription:
    others = subscriptions.live(order.customer)
    term = order.snapshot.get("term", {})
    is_trial = stretch.kind == PeriodKind.TRIAL
    return Subscription.objects.create(
        customer=order.customer,
        rail=order.rail,
        external_id=external_id,
        plan_slug=order.product_slug,
        interval=stretch.interval,
        asset=order.asset,
        price_minor=term.get("price_minor", order.subtotal_minor),
        status=SubscriptionStatus.TRIALING if is_trial else SubscriptionStatus.ACTIVE,
        renews=renews,
        anchor_at=_moment(term["anchor_at"]) if term else stretch.starts_at,
        time_zone=zone,
        period_starts_at=stretch.starts_at,
        period_ends_at=stretch.ends_at,
        trial_ends_at=stretch.ends_at if is_trial else None,
        is_duplicate=bool(others),
        started_at=stretch.starts_at,
    )


def _move_on(subscription: Subscription, order: Order, stretch: Stretch) -> None:
    """A later stretch was paid: whatever was failing is mended, and it is what runs now."""
    term = order.snapshot["term"]
    if subscription.status == SubscriptionStatus.ENDED:
        return
    subscription.plan_slug = stretch.plan_slug
    subscription.interval = stretch.interval
    subscription.price_minor = term["price_minor"]
    if term["reason"] != Reason.CHANGE:
        subscription.period_starts_at = stretch.starts_at
    subscription.period_ends_at = stretch.ends_at
    is_trial = stretch.kind == PeriodKind.TRIAL
    subscription.status = SubscriptionStatus.TRIALING if is_trial else SubscriptionStatus.ACTIVE
    subscription.past_due_since = None
    subscription.reminders = 0
    subscription.save()


def _paid_at(order: Order) -> datetime:
    return order.paid_at or clock.now()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
