"""Plans: the product whose delivery is time of a subscription, and credits that come with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, Max, Q

from accounts.models import Customer
from billing import ledger
from billing.errors import AlreadySubscribed
from billing.models import (
    Code,
    Dispute,
    Order,
    PeriodKind,
    Refund,
    Subscription,
    SubscriptionPeriod,
    SubscriptionStatus,
    Transfer,
)
from billing.money import CREDIT
from billing.services import (
    entitlements,
    notifiers,
    plan_offers,
    products,
    subscription_openings,
    subscription_periods,
    subscriptions,
)
from billing.services.lot_products import LotProduct, origin_of
from billing.services.products import Reversal
from common import clock


class PlanType(LotProduct):
    """Delivers a plan as a period of a subscription; its money is earned by the second.

    What takes back all that is unearned (or more) ends the subscription; less leaves its time
    alone. Credits that came with the period follow the net part like those that are sold.
    """

    kind = plan_offers.KIND

    def deliver(self, order: Order, *, at: datetime) -> None:
        subscriptions.wait_for_turn(order.customer)
        subscription, stretch = subscription_openings.open_or_extend(order)
        period = subscription_periods.add(subscription, stretch, order=order)
        _include_credits(order, period)
        _thaw_over(subscription)
        entitlements.changed(order.customer_id)
        if subscription.is_duplicate:
            notifiers.tell("subscription_duplicate", subscription)
        if Customer.objects.filter(pk=order.customer_id, closed_at__isnull=False).exists():
            # Paid on a page that was still open: nobody could cancel what renews for a closed
            # account. The money stays visible, for staff to send back.
            subscriptions.end(subscriptions.lock(subscription.pk), at=at, stop_rail=True)

    def why_undeliverable(self, order: Order) -> str:
        return subscription_openings.why_outdated(order)

    def refuse_if_unwanted(self, order: Order) -> None:
        """Also refuses a second subscription beside the one there is."""
        super().refuse_if_unwanted(order)
        is_new = "change" not in order.snapshot and "extends" not in order.snapshot
        if is_new and subscriptions.live(order.customer):
            raise AlreadySubscribed

    def unspent_net_minor(self, order: Order) -> int:
        """What is unearned of the order's net, wherever a plan change carried it."""
        return min(_unearned_minor(order), order.net.amount_minor)

    def pin(self, reversal: Reversal) -> None:
        subscriptions.wait_for_turn(reversal.order.customer)
        super().pin(reversal)
        if _takes_the_rest(reversal):
            _freeze(reversal.order, reversal.cause)

    def unpin(self, cause: str, *, at: datetime) -> None:
        frozen = Subscription.objects.filter(frozen_by__contains=[cause])
        for subscription in frozen.select_related("customer"):
            subscriptions.wait_for_turn(subscription.customer)
            _thaw(subscription, cause)
        super().unpin(cause, at=at)

    def take_units(self, reversal: Reversal) -> None:
        subscriptions.wait_for_turn(reversal.order.customer)
        ends = _is_frozen_by(reversal) or _takes_the_rest(reversal)
        super().take_units(reversal)
        if ends:
            _revoke(reversal)

    def return_units(self, reversal: Reversal) -> None:
        subscriptions.wait_for_turn(reversal.order.customer)
        super().return_units(reversal)
        _give_back(reversal)

    def take_money(self, reversal: Reversal) -> None:
        """What is unearned goes first, the newest period's before all; then what was earned.

        What a plan change mixed is one pot: what another order's refund took out of this one's
        periods is in those that its money was carried from.
        """
        family = list(_family(reversal.order))
        missing = reversal.net_minor
        parts: dict[UUID, int] = {}
        for period in reversed(family):
            parts[period.pk] = min(missing, _unearned_of(period))
            missing -= parts[period.pk]
        for period in _pot(family):
            rest = min(missing, period.kept_minor - parts.get(period.pk, 0))
            missing -= rest
            if parts.get(period.pk, 0) + rest:
                _refund(reversal, period, parts.get(period.pk, 0) + rest)
        if missing:
            raise ValueError(f"order {reversal.order.pk} lacks {missing} of its money")

    def return_money(self, reversal: Reversal) -> None:
        for period in _pot(list(_family(reversal.order))):
            _unrefund(reversal, period)


def _include_credits(order: Order, period: SubscriptionPeriod) -> None:
    """Credits that come with the period, and go with it; once per order."""
    amount_minor = order.snapshot.get("included_credits_minor", 0)
    if not amount_minor or period.kind == PeriodKind.TRIAL or "change" in order.snapshot:
        return
    ledger.grant(
        ledger.wallet(order.customer, CREDIT),
        amount_minor,
        code=Code.PROMOTION,
        key=f"order:{order.pk}:included",
        group=f"order:{order.pk}",
        occurred_at=period.starts_at,
        origin=origin_of(order),
        expires_at=period.ends_at,
        promotional=True,
    )


def _family(order: Order) -> Iterator[SubscriptionPeriod]:
    """The period an order paid and those its money was carried to, locked, in that order.

    Customer and subscription are locked before them, as by whoever adds or cuts a period.
    """
    subscriptions.wait_for_turn(order.customer)
    owner = Subscription.objects.select_for_update(of=("self",), no_key=True)
    owner.filter(periods__order=order).first()
    locked = SubscriptionPeriod.objects.select_for_update()
    period = locked.filter(order=order).first()
    while period is not None:
        yield period
        period = locked.filter(pk=period.carried_to_id).first() if period.carried_to_id else None


def _pot(family: list[SubscriptionPeriod]) -> list[SubscriptionPeriod]:
    """These periods, and all whose money was carried to them, locked."""
    found = list(family)
    for period in found:
        known = [one.pk for one in found]
        carried = period.carried_from.select_for_update().exclude(pk__in=known)
        found.extend(carried.order_by("starts_at"))
    return found


def _unearned_minor(order: Order) -> int:
    """Money of the order's periods that no passed second has earned."""
    return sum(_unearned_of(period) for period in _family(order))


def _unearned_of(period: SubscriptionPeriod) -> int:
    return period.kept_minor - max(period.earned_minor(clock.now()), period.recognised_minor)


def _takes_the_rest(reversal: Reversal) -> bool:
    """Whether this part takes all that was left to use.

    Of the order that paid the newest period: all of its own money that is unearned. Of one whose
    money a plan change carried on: all that the new period has.
    """
    order = reversal.order
    left = _unearned_minor(order)
    newest = _newest(order)
    if newest is not None and newest.order_id == order.pk:
        left = min(left, order.net.amount_minor - reversal.net_before_minor)
    return reversal.net_minor >= left


def _newest(order: Order) -> SubscriptionPeriod | None:
    family = list(_family(order)) if order.delivered_at else []
    return family[-1] if family else None


def _freeze(order: Order, cause: str) -> None:
    """Shut access while it is undecided, if it is time that runs now."""
    period = _newest(order)
    if period is None or not period.starts_at <= clock.now() < period.ends_at:
        return
    subscription = subscriptions.lock(period.subscription_id)
    if cause not in subscription.frozen_by:
        subscription.frozen_by.append(cause)
        subscription.save(update_fields=["frozen_by"])
        entitlements.changed(subscription.customer_id)


def _thaw(found: Subscription, cause: str) -> None:
    subscription = subscriptions.lock(found.pk)
    subscription.frozen_by = [one for one in subscription.frozen_by if one != cause]
    subscription.save(update_fields=["frozen_by"])
    entitlements.changed(subscription.customer_id)


def thaw_over(limit: int = 500) -> int:
    """Open access again where the time that is in question is over and other time runs."""
    frozen = Subscription.objects.exclude(frozen_by=[]).exclude(status=SubscriptionStatus.ENDED)
    found = list(frozen.select_related("customer").order_by("pk")[:limit])
    return sum(_try_to_thaw(subscription) for subscription in found)


@transaction.atomic
def _try_to_thaw(found: Subscription) -> bool:
    subscriptions.wait_for_turn(found.customer)
    return _thaw_over(subscriptions.lock(found.pk))


def _thaw_over(subscription: Subscription) -> bool:
    """The same for one, locked. What shut it goes on, and takes or gives back its own time only."""
    now = clock.now()
    running = subscription.periods.filter(starts_at__lte=now, ends_at__gt=now)
    thawed = False
    for cause in list(subscription.frozen_by):
        period = _period_behind(cause)
        if period is None or period.ends_at > now:
            continue
        if running.exclude(pk=period.pk).exists():
            _thaw(subscription, cause)
            thawed = True
    return thawed


def _period_behind(cause: str) -> SubscriptionPeriod | None:
    """The newest period that holds the money a refund or dispute is about."""
    name, _, pk = cause.partition(":")
    kind: type[Refund | Dispute] = Dispute if name == "dispute" else Refund
    found = kind.objects.select_related("payment__order__customer").get(pk=pk)
    return _newest(found.payment.order) if found.payment.order is not None else None


def _is_frozen_by(reversal: Reversal) -> bool:
    return Subscription.objects.filter(frozen_by__contains=[reversal.cause]).exists()


def _revoke(reversal: Reversal) -> None:
    """End the time that was taken back, and with it the subscription if that is its time now."""
    period = _newest(reversal.order)
    if period is None or reversal.cause in period.revoked_by:
        return
    subscription = subscriptions.lock(period.subscription_id)
    now = clock.now()
    is_over = period.ends_at <= now
    period.revoked_by.append(reversal.cause)
    period.save(update_fields=["revoked_by"])
    if is_over:
        return
    subscription_periods.end_early(period, now)
    if not _goes_on(subscription, now):
        subscriptions.end(subscription, at=now, stop_rail=True)


def _goes_on(subscription: Subscription, now: datetime) -> bool:
    """Whether other prepaid time of it is left; then it ends when that does."""
    if subscription.renews or subscription.status == SubscriptionStatus.ENDED:
        return False
    ends_at = _paid_until(subscription)
    if ends_at <= now:
        return False
    subscription.period_ends_at = ends_at
    subscription.save(update_fields=["period_ends_at"])
    entitlements.changed(subscription.customer_id)
    return True


def _paid_until(subscription: Subscription) -> datetime:
    last: datetime = subscription.periods.aggregate(last=Max("ends_at"))["last"]
    return last


def _give_back(reversal: Reversal) -> None:
    """Undo ``_revoke``: the time that is left of what was billed is the customer's again.

    A rail that was told to stop has stopped: what comes back ends with its period.
    """
    period = _newest(reversal.order)
    if period is None or reversal.cause not in period.revoked_by:
        return
    subscription = subscriptions.lock(period.subscription_id)
    period.revoked_by = [one for one in period.revoked_by if one != reversal.cause]
    period.save(update_fields=["revoked_by"])
    if period.revoked_by or period.billed_until_at <= clock.now():
        return
    others = subscription.periods.exclude(pk=period.pk).exclude(ends_at__lte=F("starts_at"))
    meanwhile = Q(starts_at__lt=period.billed_until_at, ends_at__gt=period.ends_at)
    goes_on = subscription.renews and subscription.status != SubscriptionStatus.ENDED
    if goes_on or others.filter(meanwhile).exists():
        return
    period.ends_at = period.billed_until_at
    period.save(update_fields=["ends_at"])
    _revive(subscription)


def _revive(subscription: Subscription) -> None:
    """Let a subscription run until its last paid time is over; nothing renews it any more."""
    subscription.status = SubscriptionStatus.ACTIVE
    subscription.ended_at = None
    subscription.renews = False
    subscription.period_ends_at = _paid_until(subscription)
    if subscription.external_id:
        subscription.cancels_at = subscription.period_ends_at
    subscription.save(
        update_fields=["status", "ended_at", "renews", "period_ends_at", "cancels_at"]
    )
    entitlements.changed(subscription.customer_id)


def _refund(reversal: Reversal, period: SubscriptionPeriod, amount_minor: int) -> None:
    """Take money of a period: what is deferred first, then what was earned."""
    from_deferred = min(amount_minor, period.deferred_minor)
    legs = [
        _leg(reversal, period, role, minor)
        for role, minor in (("deferred", from_deferred), ("sales", amount_minor - from_deferred))
        if minor
    ]
    ledger.post(legs, group=reversal.cause, occurred_at=reversal.occurred_at)
    period.refunded_minor += amount_minor
    period.recognised_minor -= amount_minor - from_deferred
    period.save(update_fields=["refunded_minor", "recognised_minor"])


def _unrefund(reversal: Reversal, period: SubscriptionPeriod) -> None:
    """Give a period back what was taken under this key: deferred, to be earned again."""
    base = f"{reversal.key}:period:{period.pk}"
    taken = Transfer.objects.filter(key__in=[f"{base}:deferred", f"{base}:sales"])
    amount_minor = sum(taken.values_list("amount_minor", flat=True))
    if not amount_minor or Transfer.objects.filter(key=f"{base}:back").exists():
        return
    leg = ledger.Leg(
        ledger.system_account(reversal.into, period.unit),
        ledger.system_account("deferred", period.unit),
        amount_minor,
        Code.REFUND_FAILED,
        f"{base}:back",
    )
    ledger.post([leg], group=reversal.cause, occurred_at=reversal.occurred_at)
    period.refunded_minor -= amount_minor
    period.save(update_fields=["refunded_minor"])


def _leg(
    reversal: Reversal, period: SubscriptionPeriod, role: str, amount_minor: int
) -> ledger.Leg:
    return ledger.Leg(
        ledger.system_account(role, period.unit),
        ledger.system_account(reversal.into, period.unit),
        amount_minor,
        Code.REFUND,
        f"{reversal.key}:period:{period.pk}:{role}",
    )


products.register(PlanType())
