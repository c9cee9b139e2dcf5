"""Payments: money that came, what went back of it, and what fits no order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.enums import ActionVariant

from billing.admin.base import (
    ReadOnlyAdmin,
    ReadOnlyInline,
    is_list,
    labels,
    link,
    money,
    staff_act,
)
from billing.admin.filters import LeftFilter, RailFilter
from billing.admin.refund_act import RefundPage
from billing.admin.unapplied_acts import ApplyPage, ApplySelectedPage, AssignPage
from billing.models import Dispute, Payment, Refund, UnappliedPayment
from billing.services import unapplied

AMOUNT = money("amount_minor", "Came in")
TAX = money("tax_minor", "Tax in it")
REFUNDED = money("refunded_minor", "Refunded")


class RefundsOfPayment(ReadOnlyInline):
    """The refunds of a payment."""

    model = Refund
    verbose_name_plural = "refunds"
    fields = [
        money("amount_minor", "Goes back", unit="payment.asset"),
        money("tax_minor", "Tax in it", unit="payment.asset"),
        "state", "reason", "requested_by", "created_at", "booked_at",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refund]:
        found: QuerySet[Refund] = super().get_queryset(request)
        return found.select_related("requested_by").order_by("pk")


class DisputesOfPayment(ReadOnlyInline):
    """The disputes of a payment."""

    model = Dispute
    verbose_name_plural = "disputes"
    fields = [
        "external_id", money("amount_minor", "Wanted back", unit="payment.asset"), "state",
        "reason", "opened_at", "closed_at",
    ]  # fmt: skip


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    """All money that came in, newest first."""

    list_display = [
        "external_id", link("customer", "Payer"), AMOUNT, TAX, "standing", REFUNDED, "rail",
        link("order", "Order"), "occurred_at",
    ]  # fmt: skip
    list_select_related = ["customer", "order"]
    list_filter: Sequence[Any] = [RailFilter]
    search_fields = ["id", "external_id", "order__id", "customer__id", "customer__email"]
    search_help_text = "Payment id, the provider's id, order id, customer id or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", "external_id", "rail", "customer", "order", "unapplied_reason"]}),
        ("Money", {"fields": [
            AMOUNT, TAX, money("fee_minor", "Provider's fee"),
            money("refunding_minor", "Refunds asked for"), REFUNDED,
            money("refunded_tax_minor", "Tax in them"),
        ]}),
        ("Moments", {"fields": ["occurred_at", "settled_at"]}),
    ]  # fmt: skip
    inlines = [RefundsOfPayment, DisputesOfPayment]
    actions_detail = ["refund"]

    @labels(
        "Standing",
        {
            "applied": "success",
            "unapplied": "warning",
            "refunded": "info",
            "refunded in part": "info",
            "refund on its way": "primary",
        },
    )
    def standing(self, payment: Payment) -> str:
        """Where this money is now."""
        if payment.refunding_minor > payment.refunded_minor:
            return "refund on its way"
        if payment.refunded_minor == payment.amount_minor:
            return "refunded"
        if payment.refunded_minor:
            return "refunded in part"
        return "applied" if payment.order_id else "unapplied"

    @staff_act("Refund", right="refund", icon="undo", path="refund", variant=ActionVariant.DANGER)
    def refund(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask how much, show what happens, refund."""
        return RefundPage(self, request, self.row(request, object_id)).respond()

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only the acts that still can do something."""
        possible = self.possible_acts(self.row(request, object_id))
        return [
            one
            for one in super().get_actions_detail(request, object_id)
            if one.method.original_function_name in possible
        ]

    def possible_acts(self, payment: Payment) -> set[str]:
        """The names of the acts that can do something to this payment."""
        return {"refund"} if payment.refundable else set()


@admin.register(UnappliedPayment)
class UnappliedPaymentAdmin(PaymentAdmin):
    """Money that fits no order: nothing of it is lost, and somebody should look at it."""

    list_display = [
        "external_id", link("customer", "Payer"), AMOUNT, REFUNDED, "unapplied_reason", "rail",
        "occurred_at",
    ]  # fmt: skip
    list_select_related = ["customer"]
    list_filter = [LeftFilter, RailFilter]
    actions = ["apply_selected"]
    actions_detail = ["assign_payer", "apply_as_credits", "refund"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[UnappliedPayment]:
        """The page of one that became credits meanwhile still opens, to say so."""
        found: QuerySet[UnappliedPayment] = super().get_queryset(request)
        return found.filter(order=None) if is_list(request) else found

    def possible_acts(self, payment: Payment) -> set[str]:
        possible = super().possible_acts(payment)
        if payment.customer_id is None and not payment.refunding_minor:
            possible.add("assign_payer")
        if unapplied.can_become_credits(payment):
            possible.add("apply_as_credits")
        return possible

    @staff_act("Say who paid", right="apply", icon="person_search", path="assign")
    def assign_payer(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Say whose money it is."""
        return AssignPage(self, request, self.row(request, object_id)).respond()

    @staff_act("Turn into credits", right="apply", icon="toll", path="apply")
    def apply_as_credits(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Turn one payment into credits."""
        return ApplyPage(self, request, self.row(request, object_id)).respond()

    @admin.action(description="Turn into credits", permissions=["apply"])
    def apply_selected(
        self, request: HttpRequest, queryset: QuerySet[UnappliedPayment]
    ) -> HttpResponse:
        """Turn several payments into credits."""
        return ApplySelectedPage(self, request, queryset).respond()
