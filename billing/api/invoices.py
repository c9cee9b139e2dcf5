"""Invoices and credit notes, and what the next one would say, for programs."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ
from billing import selectors
from billing.api.base import CustomerRequest, parsed, refusal
from billing.api.inputs import AmountField, Input, ListQuery, TextField
from billing.api.shapes import AmountShape
from billing.models import InvoiceKind
from billing.money import Money
from billing.plans import Interval
from billing.services import invoice_previews
from billing.services.invoice_previews import Preview
from billing.views.invoices import pdf_response
from common.api import ApiView


class InvoiceShape(serializers.Serializer[Any]):
    """An issued document. A credit note corrects an invoice, a reversal corrects a credit note."""

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
        """Invoices, credit notes and reversals, newest first."""
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


class InvoicePreviewInput(Input):
    """What would be paid: one of a package, an amount, a plan with its interval, or the renewal."""

    package = TextField(required=False, max_length=64, help_text="A package of the configuration.")
    amount_minor = AmountField(required=False)
    plan = TextField(required=False, max_length=64, help_text="The `slug` of a plan.")
    interval = serializers.ChoiceField(required=False, choices=Interval.choices)
    renewal = serializers.BooleanField(
        default=False, help_text="The next renewal of the current subscription."
    )
    rail = TextField(default="card", max_length=16)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Exactly one purchase."""
        named = [name for name in ("package", "amount_minor", "plan") if name in attrs]
        if len(named) + attrs["renewal"] != 1:
            raise serializers.ValidationError(
                "Name one of package, amount_minor, plan with interval, or renewal."
            )
        if ("plan" in attrs) != ("interval" in attrs):
            raise serializers.ValidationError({"interval": "A plan and its interval go together."})
        return attrs


class PartyShape(serializers.Serializer[Any]):
    """Who sells, or who buys, as an invoice of today would say it."""

    name = serializers.CharField()
    address = serializers.CharField()
    email = serializers.CharField()
    country = serializers.CharField(required=False)
    tax_id = serializers.CharField()


class InvoiceLineShape(serializers.Serializer[Any]):
    """What is sold, and for which time if it is time."""

    name = serializers.CharField()
    amount = AmountShape()
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


class InvoicePreviewShape(serializers.Serializer[Any]):
    """What the next invoice would say. It has no number, and nothing was written."""

    due_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is charged by itself; null: when the order is paid."
    )
    lines = InvoiceLineShape(many=True)
    subtotal = AmountShape()
    discount = AmountShape()
    tax = AmountShape(
        allow_null=True, help_text="Null while only the provider can compute it, at payment."
    )
    total = AmountShape(help_text="Without tax where `tax` is null.")
    notes = serializers.ListField(child=serializers.CharField())
    seller = PartyShape()
    buyer = PartyShape()


class PdfRenderer(BaseRenderer):
    """Lets callers ask for a PDF by Accept or ``?format=pdf``; the view makes it."""

    media_type = "application/pdf"
    format = "pdf"
    charset = None
    render_style = "binary"

    def render(self, data: Any, *_context: Any) -> Any:
        """The file as it is."""
        return data


class InvoicePreview(ApiView):
    """What the next invoice would say."""

    required_scopes = (CREDITS_READ,)
    throttle_scope = "checkout"
    renderer_classes = (JSONRenderer, PdfRenderer)

    @extend_schema(
        operation_id="billing_invoice_preview",
        request=InvoicePreviewInput,
        responses={
            (200, "application/json"): InvoicePreviewShape,
            (200, "application/pdf"): OpenApiTypes.BINARY,
            400: refusal(
                "invalid_input",
                "unknown_package",
                "unknown_plan",
                "amount_out_of_range",
                "not_sold_that_way",
                "rail_not_available",
                "not_invoiced",
            ),
            404: refusal("no_subscription"),
            409: refusal("change_not_possible"),
            503: refusal("rail_unavailable"),
        },
        tags=["billing"],
    )
    def post(self, request: CustomerRequest) -> Response:
        """Lines, discount, tax as far as it is known, total, seller and buyer.

        As JSON, or as a PDF that is marked as a preview (`Accept: application/pdf` or
        `?format=pdf`). Codes that a customer enters at payment are not known yet.
        """
        found = _preview(request, parsed(InvoicePreviewInput, request.data))
        if request.accepted_renderer.format == PdfRenderer.format:
            response = Response(invoice_previews.pdf(found))
            response["Content-Disposition"] = 'inline; filename="preview.pdf"'
            return response
        return Response(InvoicePreviewShape(_told(found)).data)

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Refusals are JSON, whatever was asked for."""
        if getattr(response, "exception", False):
            request.accepted_renderer = JSONRenderer()
            request.accepted_media_type = JSONRenderer.media_type
        return super().finalize_response(request, response, *args, **kwargs)


def _preview(request: CustomerRequest, wanted: dict[str, Any]) -> Preview:
    customer, rail = request.customer, wanted["rail"]
    if wanted["renewal"]:
        return invoice_previews.of_renewal(customer)
    if "package" in wanted:
        return invoice_previews.of_package(customer, wanted["package"], rail=rail)
    if "amount_minor" in wanted:
        return invoice_previews.of_amount(customer, wanted["amount_minor"], rail=rail)
    return invoice_previews.of_plan(customer, wanted["plan"], wanted["interval"], rail=rail)


def _told(found: Preview) -> dict[str, Any]:
    invoice = found.invoice
    lines = [
        {
            "name": line["name"],
            "amount": Money(line["amount_minor"], invoice.unit),
            "starts_at": _moment(line, "from"),
            "ends_at": _moment(line, "until"),
        }
        for line in invoice.lines
    ]
    return {
        "due_at": found.due_at,
        "lines": lines,
        "subtotal": invoice.subtotal,
        "discount": invoice.discount,
        "tax": invoice.tax if found.tax_is_known else None,
        "total": invoice.total,
        "notes": [found.tax_note] if found.tax_note else [],
        "seller": invoice.seller,
        "buyer": invoice.buyer,
    }


def _moment(line: dict[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(line[name]) if name in line else None
