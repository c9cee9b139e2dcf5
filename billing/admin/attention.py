"""What somebody should look at, in one query, as far as the viewer may see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Count, DateTimeField, F, Min, QuerySet, Value
from django.db.models.functions import Cast, Concat, Now

from accounts.models import User
from billing.admin.base import list_of
from billing.models import (
    Dispute,
    DisputeState,
    Email,
    EmailState,
    EventState,
    InboundEvent,
    Order,
    OrderStatus,
    ReconciliationItem,
    ReconciliationRun,
    Refund,
    RefundState,
    RunOutcome,
    Subscription,
    SubscriptionStatus,
    UnappliedPayment,
)
from billing.models.reconciliation import OPEN

REFUND_IS_LATE = timedelta(hours=1)
_LAST_RUN = "last run "


@dataclass(frozen=True, slots=True)
class Found:
    """How many wait, and since when, or until when, the first of them."""

    count: int = 0
    at: datetime | None = None


class Attention:
    """What was found, by name; what the viewer may not see is not there."""

    def __init__(self, viewer: User | AnonymousUser) -> None:
        self._seen = {name for name, right in _RIGHTS.items() if viewer.has_perm(right)}
        self._found = _read(self._seen)

    def cards(self) -> list[dict[str, Any]]:
        """A card for each thing: title, count, url, note."""
        made = (build(self) for name, build in _CARDS.items() if name in self._seen)
        return list(made)

    def of(self, name: str) -> Found:
        """One thing."""
        return self._found.get(name, Found())

    @property
    def last_run(self) -> str:
        """How the last reconciliation ended."""
        for name, found in self._found.items():
            if name.startswith(_LAST_RUN) and found.at:
                outcome = RunOutcome(name.removeprefix(_LAST_RUN)).label
                return f"{outcome} at {found.at:%Y-%m-%d %H:%M} UTC"
        return "not compared yet"


def _read(names: set[str]) -> dict[str, Found]:
    asked = [rows for name in _ROWS if name in names for rows in _ROWS[name]()]
    if not asked:
        return {}
    first, *others = asked
    found = first.union(*others, all=True) if others else first
    return {row["name"]: Found(row["count"], row["at"]) for row in found}


def _counted(name: str, rows: QuerySet[Any], moment: str | None = None) -> QuerySet[Any]:
    """One row (or none): the name, how many, and the first moment of them."""
    at = Min(moment) if moment else Cast(Value(None), DateTimeField())
    named = rows.order_by().values(name=Value(name))
    counted: QuerySet[Any] = named.annotate(count=Count("*"), at=at).values("name", "count", "at")
    return counted


def _events() -> list[QuerySet[Any]]:
    waiting = InboundEvent.objects.filter(state__in=[EventState.NEW, EventState.FAILED])
    return [_counted("events", waiting, "received_at")]


def _emails() -> list[QuerySet[Any]]:
    return [_counted("emails", Email.objects.filter(state=EmailState.FAILED))]


def _orders() -> list[QuerySet[Any]]:
    waiting = Order.objects.filter(status=OrderStatus.PAID, delivered_at=None)
    return [_counted("orders", waiting)]


def _subscriptions() -> list[QuerySet[Any]]:
    live = Subscription.objects.exclude(status=SubscriptionStatus.ENDED)
    suspended = live.filter(status=SubscriptionStatus.SUSPENDED)
    return [
        _counted("duplicates", live.filter(is_duplicate=True)),
        _counted("suspended", suspended),
    ]


def _refunds() -> list[QuerySet[Any]]:
    late = Refund.objects.filter(state=RefundState.REQUESTED, created_at__lt=Now() - REFUND_IS_LATE)
    return [_counted("refunds", late)]


def _disputes() -> list[QuerySet[Any]]:
    waiting = Dispute.objects.filter(state=DisputeState.OPEN)
    return [_counted("disputes", waiting, "evidence_due_at")]


def _unapplied() -> list[QuerySet[Any]]:
    left = UnappliedPayment.objects.filter(order=None, refunding_minor__lt=F("amount_minor"))
    return [_counted("unapplied", left)]


def _differences() -> list[QuerySet[Any]]:
    """What is left to somebody, and how the last look into a provider's books ended."""
    waiting = ReconciliationItem.objects.filter(state__in=OPEN)
    ended = ReconciliationRun.objects.exclude(finished_at=None).order_by("-finished_at")
    last = ended.values(
        name=Concat(Value(_LAST_RUN), F("outcome")), count=Value(1), at=F("finished_at")
    )
    return [_counted("differences", waiting), last[:1]]


def _card(title: str, count: int, url: str, note: str = "") -> dict[str, Any]:
    return {"title": title, "count": count, "url": url, "note": note}


def _events_card(found: Attention) -> dict[str, Any]:
    events = found.of("events")
    note = f"oldest of {events.at:%Y-%m-%d %H:%M} UTC" if events.at else ""
    url = list_of(InboundEvent, state="unhandled")
    return _card("Events not handled", events.count, url, note)


def _emails_card(found: Attention) -> dict[str, Any]:
    url = list_of(Email, state__exact=EmailState.FAILED)
    return _card("E-mails given up", found.of("emails").count, url)


def _orders_card(found: Attention) -> dict[str, Any]:
    url = list_of(Order, delivery="missing")
    return _card("Orders paid, not delivered", found.of("orders").count, url)


def _duplicates_card(found: Attention) -> dict[str, Any]:
    url = list_of(Subscription, is_duplicate__exact=1)
    count = found.of("duplicates").count
    return _card("Second subscriptions", count, url, "end one and refund it")


def _suspended_card(found: Attention) -> dict[str, Any]:
    url = list_of(Subscription, status__exact=SubscriptionStatus.SUSPENDED)
    return _card("Subscriptions suspended", found.of("suspended").count, url)


def _refunds_card(found: Attention) -> dict[str, Any]:
    url = list_of(Refund, state__exact=RefundState.REQUESTED)
    count = found.of("refunds").count
    return _card("Refunds the provider has not taken", count, url, "for over an hour")


def _disputes_card(found: Attention) -> dict[str, Any]:
    disputes = found.of("disputes")
    note = f"evidence due {disputes.at:%Y-%m-%d}" if disputes.at else ""
    url = list_of(Dispute, state__exact=DisputeState.OPEN)
    return _card("Disputes to answer", disputes.count, url, note)


def _unapplied_card(found: Attention) -> dict[str, Any]:
    count = found.of("unapplied").count
    return _card("Unapplied payments", count, list_of(UnappliedPayment))


def _differences_card(found: Attention) -> dict[str, Any]:
    url = list_of(ReconciliationItem, state="open")
    return _card("Differences with providers", found.of("differences").count, url, found.last_run)


_SUBSCRIPTION = "billing.view_subscription"
_RIGHTS = {
    "events": "billing.view_inboundevent",
    "emails": "billing.view_email",
    "orders": "billing.view_order",
    "duplicates": _SUBSCRIPTION,
    "suspended": _SUBSCRIPTION,
    "refunds": "billing.view_refund",
    "disputes": "billing.view_dispute",
    "unapplied": "billing.view_unappliedpayment",
    "differences": "billing.view_reconciliationitem",
}
_ROWS: dict[str, Callable[[], list[QuerySet[Any]]]] = {
    "events": _events,
    "emails": _emails,
    "orders": _orders,
    "suspended": _subscriptions,
    "refunds": _refunds,
    "disputes": _disputes,
    "unapplied": _unapplied,
    "differences": _differences,
}
_CARDS: dict[str, Callable[[Attention], dict[str, Any]]] = {
    "events": _events_card,
    "emails": _emails_card,
    "orders": _orders_card,
    "duplicates": _duplicates_card,
    "suspended": _suspended_card,
    "refunds": _refunds_card,
    "disputes": _disputes_card,
    "unapplied": _unapplied_card,
    "differences": _differences_card,
}
