"""Refunds: money on its way back."""

from __future__ import annotations

from django.contrib import admin

from billing.admin.base import ReadOnlyAdmin, badge, link, money
from billing.admin.filters import PaymentRailFilter
from billing.models import Refund, RefundState

STATE = badge(
    "state",
    "State",
    {
        RefundState.REQUESTED: "warning",
        RefundState.SENT: "primary",
        RefundState.SUCCEEDED: "success",
        RefundState.FAILED: "danger",
    },
)
AMOUNT = money("amount_minor", "Goes back", unit="payment.asset")


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    """Refunds, newest first. They are asked for on the page of their payment."""

    list_display = [
        "id", link("payment.customer", "Payer"), AMOUNT, STATE, "reason", "requested_by",
        "created_at", "closed_at", "last_error",
    ]  # fmt: skip
    list_select_related = ["payment__customer", "requested_by"]
    list_filter = ["state", PaymentRailFilter]
    date_hierarchy = "created_at"
    search_fields = [
        "id", "external_id", "payment__id", "payment__external_id", "payment__customer__email",
    ]  # fmt: skip
    search_help_text = "Refund id, payment id, the provider's ids, or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", "payment", "state", "reason", "requested_by", "external_id"]}),
        ("Money", {"fields": [AMOUNT, money("tax_minor", "Tax in it", unit="payment.asset")]}),
        ("Moments", {"fields": ["created_at", "booked_at", "closed_at"]}),
        ("At the provider", {"fields": [
            "attempts", "first_tried_at", "next_attempt_at", "last_error", "failure",
        ]}),
    ]  # fmt: skip
