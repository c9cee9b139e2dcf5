"""Subscriptions whose next period should have begun, and of which nobody told us."""

from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from billing.errors import ChangeNotPossible, RailUnavailable
from billing.models import Subscription, SubscriptionStatus
from billing.services import renewing
from common import clock

logger = logging.getLogger(__name__)

# Providers charge about an hour after a period ended, and tell us soon after.
PATIENCE = timedelta(hours=3)
_RUNNING = (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)


def ids(limit: int = 500) -> list[UUID]:
    """Subscriptions that run on past the period we know of.

    In no order: those that cannot be caught up with must not hold up the others.
    """
    late = Subscription.objects.filter(
        renews=True, status__in=_RUNNING, period_ends_at__lt=clock.now() - PATIENCE
    )
    return list(late.order_by("?").values_list("pk", flat=True)[:limit])


def catch_up(subscription_id: UUID) -> None:
    """Ask the rail what became of one. Not inside a transaction."""
    subscription = Subscription.objects.select_related("customer").get(pk=subscription_id)
    try:
        renewing.rail_of(subscription).catch_up(subscription)
    except (RailUnavailable, ChangeNotPossible) as error:
        logger.warning(
            "subscription left to the next run",
            extra={"subscription": str(subscription_id), "error": str(error)},
        )
