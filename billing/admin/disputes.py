"""Disputes: what payers' banks want back."""

from __future__ import annotations

from django.contrib import admin

from billing.admin.base import ReadOnlyAdmin, badge, link, money
from billing.admin.filters import RailFilter
from billing.models import Dispute, DisputeState

STATE = badge(
    "state",
    "State",
    {
        DisputeState.INQUIRY: "info",
        DisputeState.OPEN: "warning",
        DisputeState.WON: "success",
        DisputeState.LOST: "danger",
    },
)
UNIT = "payment.asset"
AMOUNT = money("amount_minor", "Wanted back", unit=UNIT)


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    """Disputes, newest first. They are answered at the provider."""

    list_display = [
        "external_id", link("payment.customer", "Payer"), AMOUNT, STATE, "provider_status",
        "reason", "evidence_due_at", "opened_at", "closed_at",
    ]  # fmt: skip
    list_select_related = ["payment__customer"]
    list_filter = ["state", RailFilter]
    search_fields = [
        "id", "external_id", "payment__id", "payment__external_id", "payment__customer__email",
    ]  # fmt: skip
    search_help_text = "Dispute id, payment id, the provider's ids, or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", "external_id", "rail", "payment", "state"]}),
        ("At the provider", {"fields": ["provider_status", "reason", "evidence_due_at"]}),
        ("Money", {"fields": [
            AMOUNT,
            money("frozen_minor", "Frozen of the payment", unit=UNIT),
            money("frozen_tax_minor", "Tax in it", unit=UNIT),
            money("withdrawn_minor", "Taken by the provider", unit=UNIT),
            money("reinstated_minor", "Given back by it", unit=UNIT),
            money("fee_minor", "Its fee", unit=UNIT),
        ]}),
        ("Moments", {"fields": ["opened_at", "closed_at", "created_at"]}),
    ]  # fmt: skip
