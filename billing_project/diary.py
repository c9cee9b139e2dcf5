"""What happened in a stretch of time, in sentences: for whoever moved the clock."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet, Sum
from django.utils import timezone

from billing.models import (
    Code,
    Dispute,
    EventState,
    InboundEvent,
    Payment,
    Refund,
    RefundState,
    Subscription,
    SubscriptionPeriod,
    SubscriptionStatus,
    Transfer,
)
from billing.money import Money, asset
from billing.selectors import audit
from common import clock


class Diary:
    """Opened before, read after."""

    def __init__(self) -> None:
        self._opened_at = clock.now()
        # Rows carry the database's time too, which no sandbox moves.
        self._stamped_at = timezone.now()

    def lines(self) -> list[str]:
        """What happened since, the good first; then what is wrong, if anything is."""
        told = [*self._money(), *self._subscriptions(), *self._trouble()]
        return (told or ["Nothing happened."]) + self._wrong()

    def _money(self) -> list[str]:
        paid = Payment.objects.filter(settled_at__gte=self._stamped_at)
        sums = paid.values("asset").annotate(count=Count("pk"), total=Sum("amount_minor"))
        expired = Transfer.objects.filter(created_at__gte=self._stamped_at, code=Code.EXPIRE)
        refunds = Refund.objects.filter(
            created_at__gte=self._stamped_at, state=RefundState.SUCCEEDED
        )
        return [
            *(
                f"{_count(one['count'], 'payment')} came: "
                f"{Money(one['total'], asset(one['asset']))}"
                for one in sums.order_by("asset")
            ),
            *_line(refunds, "refund", "made"),
            *_line(expired, "lot of credits or units", "expired", plural="lots"),
        ]

    def _subscriptions(self) -> list[str]:
        begun = Subscription.objects.filter(created_at__gte=self._stamped_at)
        periods = SubscriptionPeriod.objects.filter(created_at__gte=self._stamped_at)
        follows = SubscriptionPeriod.objects.filter(
            subscription=OuterRef("subscription"), ends_at=OuterRef("starts_at")
        )
        billed = periods.filter(Exists(follows))
        ended = Subscription.objects.filter(ended_at__gte=self._opened_at)
        return [
            *_line(begun, "subscription", "begun"),
            *_line(billed, "further period", "billed (renewals and changes of plan)"),
            *_line(ended, "subscription", "ended"),
        ]

    def _trouble(self) -> list[str]:
        failing = Subscription.objects.filter(past_due_since__gte=self._opened_at)
        suspended = failing.filter(status=SubscriptionStatus.SUSPENDED)
        disputes = Dispute.objects.filter(created_at__gte=self._stamped_at)
        return [
            *_line(failing, "renewal", "failed and is not paid yet"),
            *_line(suspended, "subscription", "suspended"),
            *_line(disputes, "payment", "disputed"),
        ]

    def _wrong(self) -> list[str]:
        events = InboundEvent.objects.filter(state__in=[EventState.NEW, EventState.FAILED])
        return [
            *_line(events, "event", "not handled: see the admin's inbox"),
            *(f"The ledger does not add up: {one}" for one in audit.differences()),
        ]


def _line(rows: QuerySet[Any, Any], what: str, became: str, *, plural: str = "") -> list[str]:
    count = rows.count()
    return [f"{_count(count, what, plural)} {became}"] if count else []


def _count(count: int, what: str, plural: str = "") -> str:
    return f"{count} {what if count == 1 else plural or what + 's'}"
