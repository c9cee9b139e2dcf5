"""The admin's sidebar; named in settings.UNFOLD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

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
            ("Auto top-up", "bolt", "billing_autotopup"),
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
            ("E-mails", "outgoing_mail", "billing_email"),
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
    overview = [
        {"title": title, "icon": icon, "link": link, "active": request.path == link}
        for title, icon, link in (
            ("Home", "home", reverse("admin:index")),
            ("Figures", "functions", reverse("figures")),
        )
    ]
    return [
        {"title": "Overview", "separator": False, "items": overview},
        *_groups(request),
    ]


def _groups(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {
            "title": title,
            "separator": True,
            "items": [_item(request, *entry) for entry in entries],
        }
        for title, entries in _GROUPS
    ]


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
