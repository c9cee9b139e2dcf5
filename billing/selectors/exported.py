"""What an export holds of a customer's money: rows as they are stored, a few at a time.

Left out is what is no news to the customer or none of theirs: idempotency keys, tries, errors of
providers, and fees that the house pays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db.models import F, Q, QuerySet

from accounts.models import Customer
from accounts.services.exports import CHUNK
from billing.models import (
    AutoTopUpCharge,
    AutoTopUpConsent,
    Dispute,
    Email,
    Hold,
    Invoice,
    LedgerAccount,
    Lot,
    Order,
    Payment,
    RailCustomer,
    Refund,
    Subscription,
    SubscriptionPeriod,
    Transfer,
)

Rows = Callable[[Customer], Iterable[Mapping[str, Any]]]

_OWNED: dict[str, tuple[QuerySet[Any], str, tuple[str, ...]]] = {
    "orders": (
        Order.objects.all(),
        "customer",
        ("id", "rail", "product_kind", "product_slug", "product_name", "asset", "subtotal_minor",
         "discount_minor", "tax_minor", "status", "external_id", "placed_by__email", "created_at",
         "expires_at", "paid_at", "delivered_at"),
    ),
    "payments": (
        Payment.objects.all(),
        "customer",
        ("id", "rail", "external_id", "order_id", "asset", "amount_minor", "tax_minor",
         "refunded_minor", "unapplied_reason", "occurred_at"),
    ),
    "refunds": (
        Refund.objects.all(),
        "payment__customer",
        ("id", "payment_id", "amount_minor", "tax_minor", "state", "created_at", "closed_at"),
    ),
    "disputes": (
        Dispute.objects.all(),
        "payment__customer",
        ("id", "payment_id", "external_id", "state", "reason", "amount_minor", "opened_at",
         "closed_at"),
    ),
    "invoices": (
        Invoice.objects.filter(number__isnull=False),
        "customer",
        ("id", "kind", "series", "number", "order_id", "asset", "subtotal_minor", "discount_minor",
         "tax_minor", "seller", "buyer", "lines", "supplied_at", "issued_at"),
    ),
    "subscriptions": (
        Subscription.objects.all(),
        "customer",
        ("id", "rail", "external_id", "subject", "plan_slug", "interval", "asset", "price_minor",
         "status", "renews", "period_starts_at", "period_ends_at", "trial_ends_at", "cancels_at",
         "started_at", "ended_at"),
    ),
    "subscription_periods": (
        SubscriptionPeriod.objects.all(),
        "subscription__customer",
        ("id", "subscription_id", "starts_at", "ends_at"),
    ),
    "credit_lots": (
        Lot.objects.all(),
        "account__owner",
        ("id", "account__asset", "granted_minor", "remaining_minor", "used_minor", "expires_at",
         "promotional", "origin", "created_at"),
    ),
    "holds": (
        Hold.objects.all(),
        "account__owner",
        ("id", "account__asset", "amount_minor", "captured_minor", "state", "deadline_at",
         "created_at", "closed_at"),
    ),
    "balances": (
        LedgerAccount.objects.exclude(balance_minor=None),
        "owner",
        ("id", "role", "asset", "balance_minor", "held_minor", "cap_minor"),
    ),
    "auto_top_up_consents": (
        AutoTopUpConsent.objects.all(),
        "customer",
        ("id", "agreed_by_email", "agreed_at", "text", "threshold_minor", "package", "price_minor",
         "monthly_max_minor"),
    ),
    "auto_top_up_charges": (
        AutoTopUpCharge.objects.all(),
        "auto_top_up__customer",
        ("id", "order_id", "state", "requested_at", "closed_at", "decline_message"),
    ),
    "payment_provider_ids": (RailCustomer.objects.all(), "customer", ("id", "rail", "external_id")),
    "emails": (
        Email.objects.all(),
        "customer",
        ("kind", "state", "subject", "sent_to", "created_at", "sent_at"),
    ),
}  # fmt: skip


def sections() -> dict[str, Rows]:
    """The files of an export that are about money, and what gives the rows of each."""
    return {name: _of(*owned) for name, owned in _OWNED.items()} | {"transfers": _transfers}


def _of(found: QuerySet[Any], owner: str, columns: tuple[str, ...]) -> Rows:
    def rows(customer: Customer) -> Iterable[Mapping[str, Any]]:
        mine = found.filter(**{owner: customer}).order_by("pk").values(*columns)
        return mine.iterator(CHUNK)

    return rows


def _transfers(customer: Customer) -> Iterable[Mapping[str, Any]]:
    """Every movement of what the customer has or owes."""
    accounts = list(LedgerAccount.objects.filter(owner=customer).values_list("pk", flat=True))
    mine = Transfer.objects.filter(Q(source__in=accounts) | Q(target__in=accounts))
    return (
        mine.order_by("pk")
        .values(
            "id",
            "amount_minor",
            "code",
            "occurred_at",
            "created_at",
            "reverses_id",
            asset=F("source__asset"),
            from_account=F("source__role"),
            to_account=F("target__role"),
        )
        .iterator(CHUNK)
    )
