"""Auto top-up: who agreed to what, and how its charges stand. Only its owner switches it on."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from billing.admin.base import LongTableAdmin, ReadOnlyInline, badge, link
from billing.models import AutoTopUp, AutoTopUpCharge, AutoTopUpState, ChargeState

STATE = badge(
    "state",
    "State",
    {AutoTopUpState.ON: "success", AutoTopUpState.WAITING: "warning"},
)
CHARGE_STATE = badge(
    "state",
    "State",
    {
        ChargeState.PENDING: "warning",
        ChargeState.PAID: "success",
        ChargeState.DECLINED: "danger",
    },
)


class ChargesOfAutoTopUp(ReadOnlyInline):
    """Its charges, each with what came of it."""

    model = AutoTopUpCharge
    verbose_name_plural = "charges"
    fields = [
        link("order", "Order"), CHARGE_STATE, "requested_at", "closed_at", "external_id",
        "attempts", "next_attempt_at", "last_error", "decline_code", "decline_message",
    ]  # fmt: skip
    ordering = ["-requested_at"]


@admin.register(AutoTopUp)
class AutoTopUpAdmin(LongTableAdmin):
    """Who has credits bought by themselves, and on what terms."""

    list_display = [
        "__str__", link("customer", "Customer"), STATE, "monthly_max", "card",
        "declines", "next_look_at", "stop_reason", "stopped_at",
    ]  # fmt: skip
    list_select_related = ["customer"]
    list_filter = ["state"]
    search_fields = ["id", "customer__id", "customer__email"]
    search_help_text = "Id, customer id or e-mail address."
    fieldsets = [
        (None, {"fields": ["customer", STATE, "card", "stop_reason", "stopped_at"]}),
        ("Terms", {"fields": ["threshold", "package", "price", "monthly_max"]}),
        ("Agreed to", {"fields": ["agreed_by", "agreed_at", "words"]}),
        ("Next", {"fields": ["declines", "next_look_at"]}),
    ]
    inlines = [ChargesOfAutoTopUp]

    @admin.display(description="By")
    def agreed_by(self, row: AutoTopUp) -> Any:
        """The address of who agreed, as it was then."""
        return row.consent.agreed_by_email if row.consent else None

    @admin.display(description="At")
    def agreed_at(self, row: AutoTopUp) -> Any:
        """When."""
        return row.consent.agreed_at if row.consent else None

    @admin.display(description="In these words")
    def words(self, row: AutoTopUp) -> Any:
        """The sentence that was ticked."""
        return row.consent.text if row.consent else None
