"""What waits to be done: events, deliveries and outgoing calls, how many and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from billing.models import (
    Email,
    EmailState,
    EventState,
    Hold,
    HoldState,
    InboundEvent,
    ItemState,
    Order,
    OrderStatus,
    ReconciliationItem,
    Refund,
    RefundState,
    Subscription,
)
from common import clock


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many of one kind wait at one rail, and for how long the first of them has."""

    rail: str
    count: int
    oldest: timedelta


def events(*, failing: bool = False) -> list[Waiting]:
    """Stored events that nobody has handled, or only those whose handler failed."""
    states = [EventState.FAILED] if failing else [EventState.NEW, EventState.FAILED]
    rows = InboundEvent.objects.filter(state__in=states)
    # Stamped by the database, whose time no sandbox moves.
    return _by_rail(rows, "rail", "received_at", timezone.now())


def deliveries() -> list[Waiting]:
    """Orders that are paid and not delivered."""
    rows = Order.objects.filter(status=OrderStatus.PAID, delivered_at=None)
    return _by_rail(rows, "rail", "paid_at", clock.now())


def refunds() -> list[Waiting]:
    """Refunds that their provider still has to be asked for."""
    rows = Refund.objects.filter(state=RefundState.REQUESTED)
    return _by_rail(rows, "payment__rail", "created_at", timezone.now())


def stops() -> list[Waiting]:
    """Subscriptions that ended here and that their rail still charges for."""
    rows = Subscription.objects.filter(stop_requested_at__isnull=False)
    return _by_rail(rows, "rail", "stop_requested_at", clock.now())


def outgoing() -> list[Waiting]:
    """Every call that somebody out there still has to receive."""
    return [*refunds(), *stops()]


def emails() -> Waiting | None:
    """E-mails that nobody has sent yet; None when there are none. ``rail`` is empty."""
    rows = Email.objects.filter(state=EmailState.WAITING)
    found = rows.aggregate(count=Count("pk"), first=Min("created_at"))
    if not found["count"]:
        return None
    return Waiting("", found["count"], max(timezone.now() - found["first"], timedelta(0)))


def emails_given_up() -> int:
    """E-mails that were tried for days and wait for staff."""
    return Email.objects.filter(state=EmailState.FAILED).count()


def overdue_holds() -> int:
    """Holds past their deadline that still set units aside."""
    return Hold.objects.filter(state=HoldState.HELD, deadline_at__lt=clock.now()).count()


def differences_left() -> dict[str, int]:
    """What reconciliations found and nobody has put right, by rail."""
    rows = ReconciliationItem.objects.filter(state__in=[ItemState.FOUND, ItemState.LEFT])
    counted = rows.values("run__rail").annotate(count=Count("pk")).order_by("run__rail")
    return {row["run__rail"]: row["count"] for row in counted}


def oldest(waiting: list[Waiting]) -> timedelta:
    """How long the first of all has waited; nothing when none waits."""
    return max((one.oldest for one in waiting), default=timedelta(0))


def _by_rail(rows: QuerySet[Any], rail: str, since: str, now: datetime) -> list[Waiting]:
    grouped = rows.values(rail).annotate(count=Count("pk"), first=Min(since)).order_by(rail)
    return [
        Waiting(row[rail], row["count"], max(now - row["first"], timedelta(0))) for row in grouped
    ]
