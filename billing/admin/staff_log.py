"""What staff did, and why."""

from __future__ import annotations

from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin.base import ReadOnlyAdmin, link
from billing.admin.filters import ActFilter
from billing.models import StaffAction
from billing.services.staff import Act

# What a subject's first word is the page of.
_PAGES = {
    "payment": "billing_payment",
    "customer": "accounts_customer",
    "event": "billing_inboundevent",
    "email": "billing_email",
    "difference": "billing_reconciliationitem",
    "subscription": "billing_subscription",
}


@admin.display(description="What")
def what(action: StaffAction) -> str:
    """The act in words; acts of other apps as they are named."""
    return str(Act(action.act).label) if action.act in Act.values else action.act


@admin.display(description="Done to")
def done_to(action: StaffAction) -> SafeString | str:
    """A link to the subject, where it has a page."""
    kind, _, pk = action.subject.partition(":")
    try:
        address = reverse(f"admin:{_PAGES[kind]}_change", args=[pk])
    except (KeyError, NoReverseMatch):
        return action.subject
    return format_html('<a class="text-link" href="{}">{}</a>', address, action.subject)


@admin.register(StaffAction)
class StaffActionAdmin(ReadOnlyAdmin):
    """The log of staff actions, newest first."""

    list_display = ["created_at", "staff", what, link("customer", "Customer"), done_to, "reason"]
    list_select_related = ["staff", "customer"]
    list_filter = [ActFilter]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "-id"]
    search_fields = ["subject", "staff__email", "customer__id", "customer__email"]
    search_help_text = "Staff or customer e-mail address, customer id, or payment:<id>."
    fieldsets = [
        (None, {"fields": ["created_at", "staff", what, "customer", done_to]}),
        ("Why and how", {"fields": ["reason", "detail", "key"]}),
    ]
