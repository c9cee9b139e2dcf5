"""Invoices and credit notes, for programs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ
from billing import selectors
from billing.api.base import CustomerRequest, parsed, refusal
from billing.api.inputs import ListQuery
from billing.api.shapes import AmountShape
from billing.models import InvoiceKind
from billing.views.invoices import pdf_response
from common.api import ApiView


class InvoiceShape(serializers.Serializer[Any]):
    """An issued document. ``corrects`` is the invoice that a credit note takes back a part of."""

    id = serializers.UUIDField()
    name = serializers.CharField(help_text="Its number, e.g. INV-2026-000042.")
    kind = serializers.ChoiceField(choices=InvoiceKind.choices)
    issued_at = serializers.DateTimeField()
    order_id = serializers.UUIDField()
    corrects = serializers.UUIDField(source="corrects_id", allow_null=True)
    subtotal = AmountShape()
    discount = AmountShape()
    tax = AmountShape()
    total = AmountShape()


class InvoicesShape(serializers.Serializer[Any]):
    """A page of documents."""

    results = InvoiceShape(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


class Invoices(ApiView):
    """The documents."""

    required_scopes = (CREDITS_READ,)

    @extend_schema(
        operation_id="billing_invoices",
        parameters=[ListQuery],
        responses=InvoicesShape,
        tags=["billing"],
    )
    def get(self, request: CustomerRequest) -> Response:
        """Invoices and credit notes, newest first."""
        query = parsed(ListQuery, request.query_params)
        rows, next_cursor = selectors.invoices(
            request.customer, limit=query["limit"], cursor=query["cursor"]
        )
        return Response(InvoicesShape({"results": rows, "next_cursor": next_cursor}).data)


class InvoiceFile(ApiView):
    """One document as a file."""

    required_scopes = (CREDITS_READ,)

    @extend_schema(
        operation_id="billing_invoice_pdf",
        responses={
            (200, "application/pdf"): OpenApiTypes.BINARY,
            404: refusal("not_found"),
        },
        tags=["billing"],
    )
    def get(self, request: CustomerRequest, invoice_id: UUID) -> HttpResponse:
        """The document as a PDF."""
        return pdf_response(selectors.invoice(request.customer, invoice_id))
