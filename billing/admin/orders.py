"""Orders: what was asked for."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from billing.admin.base import ReadOnlyAdmin, ReadOnlyInline, badge, link, money
from billing.admin.filters import DeliveryFilter, RailFilter
from billing.models import Order, OrderStatus, Payment

STATUS = badge(
    "status",
    "Status",
    {
        OrderStatus.OPEN: "info",
        OrderStatus.PAID: "success",
        OrderStatus.FAILED: "danger",
        OrderStatus.CANCELLED: "warning",
    },
)
SUBTOTAL, DISCOUNT, TAX = (
    money("subtotal_minor", "Price"),
    money("discount_minor", "Discount"),
    money("tax_minor", "Tax"),
)


class PaymentsOfOrder(ReadOnlyInline):
    """The payments of an order."""

    model = Payment
    verbose_name_plural = "payments"
    fields = ["external_id", money("amount_minor", "Came in"), "occurred_at", "settled_at"]


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    """Orders, newest first."""

    list_display = [
        "id", link("customer", "Customer"), "product_name", SUBTOTAL, DISCOUNT, TAX, STATUS, "rail",
        "created_at", "paid_at", "delivered_at",
    ]  # fmt: skip
    list_select_related = ["customer"]
    list_filter = ["status", DeliveryFilter, RailFilter, "from_unapplied"]
    search_fields = ["id", "external_id", "customer__id", "customer__email"]
    search_help_text = "Order id, the provider's id, customer id or e-mail address."
    fieldsets = [
        (None, {"fields": ["id", "customer", "placed_by", "product_name", "status"]}),
        ("Money", {"fields": [SUBTOTAL, DISCOUNT, TAX, "total", "rail", "external_id"]}),
        ("Moments", {"fields": ["created_at", "expires_at", "paid_at"]}),
        ("Delivery", {"fields": ["delivered_at", "delivery_attempts", "delivery_error"]}),
        ("Product as it was sold", {"fields": ["product_kind", "product_slug", "snapshot"]}),
    ]
    inlines = [PaymentsOfOrder]

    @admin.display(description="Total")
    def total(self, order: Order) -> Any:
        """What the customer pays, tax included."""
        return order.total
