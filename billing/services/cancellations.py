"""Cancelling at the end of the period, taking that back, and stopping a rail at once."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from accounts.models import Customer
from billing.errors import NoSubscription, RailUnavailable
from billing.models import Subscription
from billing.services import rails, renewing, subscriptions
from common import clock

logger = logging.getLogger(__name__)

RETRY_AFTER = timedelta(minutes=1)


def cancel(customer: Customer) -> Subscription:
    """Let the subscription end with what is paid; repeating it changes nothing.

    Raises NoSubscription, ChangeNotPossible for prepaid time, RailUnavailable.
    """
    subscription = _current(customer)
    if subscription.cancels_at is None:
        renewing.rail_of(subscription).cancel_at_period_end(subscription)
        subscription.refresh_from_db()
    return subscription


def resume(customer: Customer) -> Subscription:
    """Let it renew after all; repeating it changes nothing. Raises like ``cancel``."""
    subscription = _current(customer)
    if subscription.cancels_at is not None:
        renewing.rail_of(subscription).resume(subscription)
        subscription.refresh_from_db()
    return subscription


def cancel_one(subscription: Subscription) -> Subscription:
    """Let one subscription, a duplicate say, end with what is paid."""
    renewing.rail_of(subscription).cancel_at_period_end(subscription)
    subscription.refresh_from_db()
    return subscription


def to_stop_ids(limit: int = 100) -> list[UUID]:
    """Subscriptions that ended here and that their rail still has to be told of."""
    due = Subscription.objects.filter(stop_requested_at__lte=clock.now())
    return list(due.order_by("stop_requested_at").values_list("pk", flat=True)[:limit])


def stop(subscription_id: UUID) -> None:
    """Tell the rail to charge nothing more, again until it has heard; safe to call twice."""
    subscription = Subscription.objects.select_related("customer").get(pk=subscription_id)
    if subscription.stop_requested_at is None:
        return
    rail = rails.named(subscription.rail)
    try:
        if isinstance(rail, renewing.RenewingRail):
            rail.stop(subscription)
    except Exception as error:
        logger.warning(
            "rail not told to stop",
            extra={"subscription": str(subscription.pk), "error": str(error)},
        )
        Subscription.objects.filter(pk=subscription_id).update(
            stop_requested_at=clock.now() + RETRY_AFTER
        )
        if isinstance(error, RailUnavailable):
            return
        raise  # a bug or a wrong key, say: shown with the task, and not tried at once again
    Subscription.objects.filter(pk=subscription_id).update(stop_requested_at=None)


def _current(customer: Customer) -> Subscription:
    subscription = subscriptions.current(customer)
    if subscription is None:
        raise NoSubscription
    return subscription
