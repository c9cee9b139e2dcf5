"""Subscriptions and the stretches of time that were billed for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.enums import ActionVariant

from billing.admin.base import (
    LongTableAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    badge,
    labels,
    link,
    money,
    staff_act,
)
from billing.admin.filters import PlanFilter, RailFilter
from billing.admin.subscription_acts import EndLaterPage, EndNowPage, RefreshPage
from billing.models import (
    PeriodKind,
    Subscription,
    SubscriptionPeriod,
    SubscriptionStatus,
)
from billing.money import Money
from billing.selectors import plan_name

STATUS = badge(
    "status",
    "Status",
    {
        SubscriptionStatus.TRIALING: "info",
        SubscriptionStatus.ACTIVE: "success",
        SubscriptionStatus.PAST_DUE: "warning",
        SubscriptionStatus.SUSPENDED: "danger",
    },
)
KIND = badge("kind", "Kind", {PeriodKind.PAID: "success", PeriodKind.TRIAL: "info"})
PRICE = money("price_minor", "Next period costs")
COST, RECOGNISED, REFUNDED = (
    money("cost_minor", "Money"),
    money("recognised_minor", "Earned"),
    money("refunded_minor", "Refunded"),
)


@admin.display(description="Plan", ordering="plan_slug")
def plan(row: Any) -> str:
    """The plan and how long one payment lasts."""
    return f"{plan_name(row.plan_slug)}, per {row.get_interval_display()}"


class PeriodsOfSubscription(ReadOnlyInline):
    """The stretches of a subscription, newest first."""

    model = SubscriptionPeriod
    verbose_name_plural = "periods"
    fields = [plan, "starts_at", "ends_at", "kind", link("order", "Order"), COST, RECOGNISED,
              REFUNDED]  # fmt: skip
    per_page = 12

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubscriptionPeriod]:
        found: QuerySet[SubscriptionPeriod] = super().get_queryset(request)
        return found.select_related("order").order_by("-starts_at", "-pk")


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnlyAdmin):
    """Subscriptions, newest first, whichever rail pays them."""

    list_display = [
        "id", link("customer", "Customer"), plan, STATUS, "standing", PRICE, "rail",
        "period_ends_at", "started_at",
    ]  # fmt: skip
    list_select_related = ["customer"]
    list_filter: Sequence[Any] = ["status", PlanFilter, RailFilter, "is_duplicate", "renews"]
    search_fields = ["id", "external_id", "customer__id", "customer__email"]
    search_help_text = "Subscription id, the provider's id, customer id or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", "customer", plan, "status", "standing", PRICE]}),
        ("At the rail", {"fields": ["rail", "external_id", "renews", "stop_requested_at"]}),
        ("Time", {"fields": [
            "started_at", "anchor_at", "time_zone", "period_starts_at", "period_ends_at",
            "trial_ends_at", "cancels_at", "ended_at", "next_plan_slug", "next_interval",
        ]}),
        ("What is wrong", {"fields": [
            "past_due_since", "reminders", "frozen_by", "is_duplicate",
        ]}),
    ]  # fmt: skip
    inlines = [PeriodsOfSubscription]
    actions_detail = ["end_later", "end_now", "refresh"]

    @labels(
        "Remarks",
        {
            "duplicate": "danger",
            "paused": "warning",
            "ends": "warning",
            "changes plan": "info",
            "prepaid": "info",
        },
    )
    def standing(self, row: Subscription) -> str | None:
        """What else there is to know at a glance."""
        if row.status == SubscriptionStatus.ENDED:
            return None
        if row.is_duplicate:
            return "duplicate"
        if row.frozen_by:
            return "paused"
        if not row.renews:
            return "prepaid"
        if row.cancels_at is not None:
            return "ends"
        return "changes plan" if row.next_plan_slug else None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        found: QuerySet[Subscription] = super().get_queryset(request)
        return found.select_related("customer")

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only the acts that still can do something."""
        possible = _possible_acts(self.row(request, object_id))
        return [
            one
            for one in super().get_actions_detail(request, object_id)
            if one.method.original_function_name in possible
        ]

    @staff_act("End at period end", right="end", icon="event_busy", path="end-later")
    def end_later(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what happens, let it end with what is paid."""
        return EndLaterPage(self, request, self.row(request, object_id)).respond()

    @staff_act("End now", right="end", icon="block", path="end", variant=ActionVariant.DANGER)
    def end_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what happens, end it."""
        return EndNowPage(self, request, self.row(request, object_id)).respond()

    @staff_act("Refresh from the provider", right="handle_again", icon="sync", path="refresh")
    def refresh(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what happens, ask the provider."""
        return RefreshPage(self, request, self.row(request, object_id)).respond()


@admin.register(SubscriptionPeriod)
class SubscriptionPeriodAdmin(LongTableAdmin):
    """Stretches of time that were billed, newest first, with the money each was bought with."""

    list_display = [
        "id", link("subscription.customer", "Customer"), plan, KIND, "starts_at", "ends_at",
        link("order", "Order"), COST, RECOGNISED, REFUNDED,
    ]  # fmt: skip
    list_select_related = ["subscription__customer", "order"]
    list_filter = ["kind", PlanFilter]
    search_fields = [
        "id", "source", "subscription__id", "subscription__external_id", "order__id",
        "subscription__customer__id", "subscription__customer__email",
    ]  # fmt: skip
    search_help_text = "Invoice, subscription, order or customer id, or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", link("subscription", "Subscription"), plan, "kind", "source",
                           link("order", "Order")]}),
        ("Time", {"fields": ["starts_at", "ends_at", "billed_until_at", "created_at"]}),
        ("Money", {"fields": [
            COST, money("carried_in_minor", "of it carried in"),
            money("carried_out_minor", "Carried on"), link("carried_to", "Carried to"),
            RECOGNISED, REFUNDED, "deferred", "recognised_at", "revoked_by",
        ]}),
    ]  # fmt: skip

    @admin.display(description="Deferred")
    def deferred(self, row: SubscriptionPeriod) -> Money:
        """Neither earned, nor carried on, nor given back."""
        return Money(row.deferred_minor, row.unit)


def _possible_acts(row: Subscription) -> set[str]:
    if row.status == SubscriptionStatus.ENDED:
        return {"refresh"} if row.renews else set()
    possible = {"end_now"}
    if row.renews:
        possible |= {"refresh"} if row.cancels_at is not None else {"refresh", "end_later"}
    return possible
