"""Invoices and credit notes, as they were issued."""

from __future__ import annotations

from django.contrib import admin

from billing.admin.base import ReadOnlyAdmin, badge, link, money
from billing.models import Invoice, InvoiceKind

KIND = badge(
    "kind",
    "Kind",
    {
        InvoiceKind.INVOICE: "info",
        InvoiceKind.CREDIT_NOTE: "warning",
        InvoiceKind.REVERSAL: "success",
    },
)


@admin.register(Invoice)
class InvoiceAdmin(ReadOnlyAdmin):
    """Documents, newest first; those without a number are being written."""

    list_display = [
        "__str__", KIND, link("customer", "Customer"), money("total_minor", "Total"), "issued_at",
    ]  # fmt: skip
    list_select_related = ["customer"]
    list_filter = ["kind", "series"]
    search_fields = ["id", "number", "customer__email", "payment__external_id", "order__id"]
    search_help_text = "Number, e-mail address, order id, or the provider's id of the payment."
    fieldsets = [
        (None, {"fields": ["id", "series", "number", KIND, "customer", "corrects"]}),
        ("For", {"fields": ["order", "payment", "refund", "dispute", "round", "lines"]}),
        ("Amounts", {"fields": [
            money("subtotal_minor", "Subtotal"), money("discount_minor", "Discount"),
            money("tax_minor", "Tax"), money("total_minor", "Total"),
        ]}),
        ("As issued", {"fields": ["language", "seller", "buyer"]}),
        ("Moments", {"fields": ["supplied_at", "issued_at", "created_at"]}),
    ]  # fmt: skip
