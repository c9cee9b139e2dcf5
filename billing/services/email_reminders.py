"""Reminders: found by the hour, each written once per cause and day.

What was to be told seven days before and was slept through is told later, as long as the last
reminder is not due; then only that one is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, Min, Q, QuerySet, Sum
from django.db.models.functions import TruncDay

from billing.models import PLAN, Email, EmailKind, Lot, Subscription, SubscriptionStatus
from billing.money import CREDIT
from billing.services import emails
from common import clock

DAYS_BEFORE = (7, 1)
# A trial is short; a reminder on its first day would be none.
TRIAL_DAYS_BEFORE = (3, 1)
BATCH = 1000


def write_due() -> int:
    """Write every reminder that is due and not yet written; returns how many are due now."""
    found = 0
    for batch in _batches(_due()):
        found += len(batch)
        emails.queue_many(batch)
    return found


def _due() -> Iterator[Email]:
    for near, far in _windows(DAYS_BEFORE):
        yield from _renewals(near, far)
        yield from _running_out(near, far)
        yield from _credits(near, far)
    for near, far in _windows(TRIAL_DAYS_BEFORE):
        yield from _trials(near, far)


def _windows(days_before: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(1, 7) and (0, 1): what ends in more than the first and at most the second."""
    nearer = [*days_before[1:], 0]
    return zip(nearer, days_before, strict=True)


def _renewals(near: int, far: int) -> Iterator[Email]:
    found = _live(SubscriptionStatus.ACTIVE).filter(
        _between("period_ends_at", near, far), renews=True, cancels_at=None
    )
    return _of_subscriptions(EmailKind.RENEWAL_SOON, found, "period_ends_at", far)


def _running_out(near: int, far: int) -> Iterator[Email]:
    found = _live(SubscriptionStatus.ACTIVE).filter(
        _between("period_ends_at", near, far), renews=False
    )
    return _of_subscriptions(EmailKind.PLAN_EXPIRES_SOON, found, "period_ends_at", far)


def _trials(near: int, far: int) -> Iterator[Email]:
    found = _live(SubscriptionStatus.TRIALING).filter(
        _between("trial_ends_at", near, far), renews=True, cancels_at=None
    )
    return _of_subscriptions(EmailKind.TRIAL_ENDING, found, "trial_ends_at", far)


def _credits(near: int, far: int) -> Iterator[Email]:
    """Purchased credits, all that one customer loses on one day in one e-mail."""
    lots = Lot.objects.filter(
        _between("expires_at", near, far),
        is_open=True,
        promotional=False,
        account__asset=CREDIT.code,
        account__role="wallet",
        account__owner__isnull=False,
    )
    by_day = lots.annotate(day=TruncDay("expires_at", tzinfo=UTC)).values("account__owner", "day")
    sums = by_day.annotate(at=Min("expires_at"), left=Sum(F("remaining_minor") - F("held_minor")))
    kind = EmailKind.CREDITS_EXPIRE_SOON
    for row in sums.filter(left__gte=CREDIT.unit_minor).order_by("account__owner").iterator():
        yield Email(
            kind=kind,
            customer_id=row["account__owner"],
            key=f"{kind}:{row['account__owner']}:{row['day']:%Y%m%d}:{far}",
            context={"at": row["at"].isoformat()},
        )


def _live(status: SubscriptionStatus) -> QuerySet[Subscription]:
    return Subscription.objects.filter(subject=PLAN, status=status).order_by("pk")


def _between(field: str, near: int, far: int) -> Q:
    now = clock.now()
    ends: dict[str, datetime] = {
        f"{field}__gt": now + timedelta(days=near),
        f"{field}__lte": now + timedelta(days=far),
    }
    return Q(**ends)


def _of_subscriptions(
    kind: EmailKind, found: QuerySet[Subscription], field: str, days: int
) -> Iterator[Email]:
    rows: QuerySet[Subscription, dict[str, Any]] = found.values("pk", "customer_id", field)
    for row in rows.iterator():
        at: datetime = row[field]
        yield Email(
            kind=kind,
            customer_id=row["customer_id"],
            key=f"{kind}:{row['pk']}:{at:%Y%m%dT%H%M%S}:{days}",
            context={"subscription": str(row["pk"]), "at": at.isoformat()},
        )


def _batches(found: Iterator[Email]) -> Iterator[list[Email]]:
    batch: list[Email] = []
    for email in found:
        batch.append(email)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
