"""The admin's sidebar and its first page; named in settings.UNFOLD."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import F
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import reverse

from billing.admin.base import link_to, list_of
from billing.admin.customer_money import Section
from billing.admin.inbox import attention
from billing.admin.staff_log import done_to, what
from billing.models import (
    Dispute,
    DisputeState,
    InboundEvent,
    Order,
    OrderStatus,
    Payment,
    ReconciliationItem,
    ReconciliationRun,
    Refund,
    RefundState,
    StaffAction,
    Subscription,
    SubscriptionStatus,
    UnappliedPayment,
)
from billing.models.reconciliation import OPEN

LATEST = 10
REFUND_IS_LATE = timedelta(hours=1)

# Title, icon, app_model; shown to those who may look at it.
_Entry = tuple[str, str, str]
_GROUPS: Sequence[tuple[str, Sequence[_Entry]]] = (
    (
        "Customers",
        (
            ("Customers", "groups", "accounts_customer"),
            ("Users", "person", "accounts_user"),
            ("API keys", "key", "accounts_apikey"),
        ),
    ),
    (
        "Money",
        (
            ("Orders", "shopping_cart", "billing_order"),
            ("Subscriptions", "autorenew", "billing_subscription"),
            ("Billed periods", "date_range", "billing_subscriptionperiod"),
            ("Payments", "payments", "billing_payment"),
            ("Unapplied money", "help_center", "billing_unappliedpayment"),
            ("Invoices", "receipt_long", "billing_invoice"),
            ("Refunds", "undo", "billing_refund"),
            ("Disputes", "gavel", "billing_dispute"),
            ("Ledger accounts", "account_balance", "billing_ledgeraccount"),
            ("Transfers", "sync_alt", "billing_transfer"),
            ("Lots", "toll", "billing_lot"),
            ("Uses of lots", "data_usage", "billing_lotuse"),
            ("Holds", "front_hand", "billing_hold"),
        ),
    ),
    (
        "Operations",
        (
            ("Inbox", "inbox", "billing_inboundevent"),
            ("Reconciliation", "fact_check", "billing_reconciliationrun"),
            ("Differences", "difference", "billing_reconciliationitem"),
            ("Staff actions", "history_edu", "billing_staffaction"),
            ("Stripe's events", "webhook", "djstripe_event"),
            ("Scheduled jobs", "schedule", "django_celery_beat_periodictask"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """Groups of links, each with its permission."""
    return [
        {
            "title": title,
            "separator": place > 0,
            "items": [_item(request, *entry) for entry in entries],
        }
        for place, (title, entries) in enumerate(_GROUPS)
    ]


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds what somebody should look at, as far as the viewer may see it."""
    may = request.user.has_perm
    cards = [
        *(_inbox_cards() if may("billing.view_inboundevent") else ()),
        *(_order_cards() if may("billing.view_order") else ()),
        *(_subscription_cards() if may("billing.view_subscription") else ()),
        *(_refund_cards() if may("billing.view_refund") else ()),
        *(_dispute_cards() if may("billing.view_dispute") else ()),
        *(_unapplied_cards() if may("billing.view_unappliedpayment") else ()),
        *(_reconciliation_cards() if may("billing.view_reconciliationitem") else ()),
    ]
    return context | {"attention_cards": cards, "sections": _latest(request)}


def _latest(request: HttpRequest) -> list[Section]:
    tables = (("billing.view_payment", _payments), ("billing.view_staffaction", _staff_actions))
    return [build() for right, build in tables if request.user.has_perm(right)]


def _payments() -> Section:
    found = Payment.objects.select_related("customer", "order").order_by("-pk")[:LATEST]
    rows = [
        (
            link_to(payment, payment.external_id),
            payment.amount,
            link_to(payment.customer) if payment.customer else "unknown",
            link_to(payment.order) if payment.order else payment.unapplied_reason or "unapplied",
            payment.settled_at,
        )
        for payment in found
    ]
    columns = ["Payment", "Came in", "Payer", "For", "When"]
    return Section("Latest payments", columns, rows, list_of(Payment))


def _staff_actions() -> Section:
    found = StaffAction.objects.select_related("staff").order_by("-created_at", "-pk")[:LATEST]
    rows = [
        (link_to(action, what(action)), done_to(action), action.staff, action.reason,
         action.created_at)
        for action in found
    ]  # fmt: skip
    columns = ["What", "Done to", "By", "Why", "When"]
    return Section("Latest staff actions", columns, rows, list_of(StaffAction))


def _item(request: HttpRequest, title: str, icon: str, page: str) -> dict[str, Any]:
    address = reverse(f"admin:{page}_changelist")
    app, _, model = page.rpartition("_")

    def permitted(_request: HttpRequest) -> bool:
        return request.user.has_perm(f"{app}.view_{model}")

    return {
        "title": title,
        "icon": icon,
        "link": address,
        "active": request.path.startswith(address),
        "permission": permitted,
    }


def _card(title: str, count: int, url: str, note: str = "") -> dict[str, Any]:
    return {"title": title, "count": count, "url": url, "note": note}


def _inbox_cards() -> list[dict[str, Any]]:
    found = attention(InboundEvent.objects.all())
    oldest = found["oldest_unhandled"]
    note = f"oldest of {oldest.received_at:%Y-%m-%d %H:%M} UTC" if oldest else ""
    url = list_of(InboundEvent, state="unhandled")
    return [_card("Events not handled", found["unhandled_count"], url, note)]


def _order_cards() -> list[dict[str, Any]]:
    waiting = Order.objects.filter(status=OrderStatus.PAID, delivered_at=None)
    url = list_of(Order, delivery="missing")
    return [_card("Orders paid, not delivered", waiting.count(), url)]


def _subscription_cards() -> list[dict[str, Any]]:
    live = Subscription.objects.exclude(status=SubscriptionStatus.ENDED)
    twice = live.filter(is_duplicate=True)
    url = list_of(Subscription, is_duplicate__exact=1)
    suspended = live.filter(status=SubscriptionStatus.SUSPENDED)
    url_suspended = list_of(Subscription, status__exact=SubscriptionStatus.SUSPENDED)
    return [
        _card("Second subscriptions", twice.count(), url, "end one and refund it"),
        _card("Subscriptions suspended", suspended.count(), url_suspended),
    ]


def _refund_cards() -> list[dict[str, Any]]:
    late = Refund.objects.filter(state=RefundState.REQUESTED, created_at__lt=Now() - REFUND_IS_LATE)
    url = list_of(Refund, state__exact=RefundState.REQUESTED)
    return [_card("Refunds the provider has not taken", late.count(), url, "for over an hour")]


def _dispute_cards() -> list[dict[str, Any]]:
    waiting = Dispute.objects.filter(state=DisputeState.OPEN)
    first = waiting.filter(evidence_due_at__isnull=False).order_by("evidence_due_at").first()
    note = f"evidence due {first.evidence_due_at:%Y-%m-%d}" if first else ""
    url = list_of(Dispute, state__exact=DisputeState.OPEN)
    return [_card("Disputes to answer", waiting.count(), url, note)]


def _unapplied_cards() -> list[dict[str, Any]]:
    left = UnappliedPayment.objects.filter(order=None, refunding_minor__lt=F("amount_minor"))
    return [_card("Unapplied payments", left.count(), list_of(UnappliedPayment))]


def _reconciliation_cards() -> list[dict[str, Any]]:
    """What reconciliations have left to somebody, and whether the last one could read at all."""
    waiting = ReconciliationItem.objects.filter(state__in=OPEN)
    last = ReconciliationRun.objects.exclude(finished_at=None).order_by("-finished_at").first()
    note = f"{last.get_outcome_display()} at {last.finished_at:%Y-%m-%d %H:%M} UTC" if last else ""
    url = list_of(ReconciliationItem, state="open")
    return [_card("Differences with providers", waiting.count(), url, note or "not compared yet")]
