"""E-mails: what was told to whom and when, and what could not be."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.enums import ActionVariant

from billing.admin.base import LongTableAdmin, badge, link, staff_act
from billing.admin.email_acts import SendAgainPage, SendSelectedPage
from billing.admin.filters import EmailKindFilter
from billing.models import Email, EmailState

STATE = badge(
    "state",
    "State",
    {
        EmailState.WAITING: "warning",
        EmailState.FAILED: "danger",
        EmailState.SENT: "success",
    },
)


@admin.display(description="Kind", ordering="kind")
def kind(email: Email) -> str:
    """What it tells."""
    return email.kind_label


@admin.register(Email)
class EmailAdmin(LongTableAdmin):
    """The outbox, newest first."""

    list_display = [
        "key", kind, STATE, link("customer", "Customer"), "attempts", "created_at", "sent_at",
    ]  # fmt: skip
    list_select_related = ["customer"]
    list_filter = ["state", EmailKindFilter]
    search_fields = ["key", "customer__id", "customer__email", "to_address", "sent_to"]
    search_help_text = "Its key, the customer's id, or an address."
    fieldsets = [
        (None, {"fields": ["key", kind, "state", "customer", "subject", "sent_to", "sent_at"]}),
        ("Sending", {"fields": ["attempts", "next_try_at", "last_error", "created_at"]}),
        ("What it is about", {"fields": ["to_address", "language", "context"]}),
    ]
    actions = ["send_selected"]
    actions_detail = ["send_again"]

    @staff_act(
        "Send again",
        right="handle_again",
        icon="forward_to_inbox",
        path="send-again",
        variant=ActionVariant.PRIMARY,
    )
    def send_again(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send one e-mail once more."""
        return SendAgainPage(self, request, self.row(request, object_id)).respond()

    @admin.action(description="Send again", permissions=["handle_again"])
    def send_selected(self, request: HttpRequest, queryset: QuerySet[Email]) -> HttpResponse:
        """Send several e-mails once more."""
        return SendSelectedPage(
            self, request, queryset.select_related("customer").order_by("pk")
        ).respond()
