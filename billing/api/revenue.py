"""Revenue for programs of the house: staff who are signed in, and nobody else."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.base import parsed
from billing.api.shapes import AmountShape
from billing.money import ASSETS, Asset, Money
from billing.selectors import spans
from billing.selectors.revenue import Revenue, revenue
from billing.selectors.spans import USUAL_DAYS, Span
from billing.selectors.takings import Part, Sum, Takings, takings
from common.api import ApiView

FIRST, LAST = "from", "to"
RIGHTS = ("billing.view_payment", "billing.view_refund", "billing.view_transfer")


class ForStaff(BasePermission):
    """For members of staff who may look at everything that the answer is made of."""

    def has_permission(self, request: Request, view: Any) -> bool:
        staff = request.user
        return bool(staff.is_active and staff.is_staff) and all(map(staff.has_perm, RIGHTS))


class RangeQuery(serializers.Serializer[Any]):
    """Whole days in UTC, both included."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """``from`` is a word of the language, so the fields are named here."""
        return {name: serializers.DateField(required=False) for name in (FIRST, LAST)}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Days that there can be figures of, in their order, not too many."""
        wrong = spans.why_not(attrs.get(FIRST), attrs.get(LAST))
        if wrong:
            raise serializers.ValidationError({name: [text] for name, text in wrong.items()})
        return attrs


class RevenuePartShape(serializers.Serializer[Any]):
    """What one way to pay, or one product, brought."""

    name = serializers.CharField()
    count = serializers.IntegerField(help_text="Payments.")
    total = AmountShape(help_text="Payments received, tax included.")
    revenue = AmountShape(help_text="Earned, net of tax and of what went back.")


class AssetRevenueShape(serializers.Serializer[Any]):
    """One asset; amounts of different assets are never added."""

    asset = serializers.CharField()
    total = AmountShape(help_text="Payments received in the range, tax included.")
    count = serializers.IntegerField(help_text="Payments received in the range.")
    average = AmountShape(help_text="Per payment, rounded half to even; 0 where there is none.")
    tax = AmountShape(help_text="Tax in the payments received.")
    refunded = AmountShape(help_text="Refunds booked in the range that have not failed.")
    revenue = AmountShape(help_text="Earned in the range, net of tax and of what went back.")
    by_rail = RevenuePartShape(many=True)
    by_product = RevenuePartShape(many=True)


class RevenueShape(serializers.Serializer[Any]):
    """Money received and revenue earned in a range of days, each asset for itself."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """``from`` is a word of the language, so the fields are named here."""
        return {
            FIRST: serializers.DateField(source="first"),
            LAST: serializers.DateField(source="last"),
            "assets": AssetRevenueShape(many=True),
        }


def _day(name: str, default: str) -> OpenApiParameter:
    day = {"type": "string", "format": "date"}
    empty = {"type": "string", "maxLength": 0}
    return OpenApiParameter(
        name, {"anyOf": [day, empty]}, description=f"A day in UTC, included; without it, {default}."
    )


class AdminRevenue(ApiView):
    """What came in and what was earned."""

    permission_classes = [ForStaff]

    @extend_schema(
        operation_id="admin_revenue",
        parameters=[
            _day(FIRST, f"{USUAL_DAYS} days up to `to`"),
            _day(LAST, "today"),
        ],
        responses=RevenueShape,
        auth=[{"session": []}],  # type: ignore[list-item]
        tags=["admin"],
    )
    def get(self, request: Request) -> Response:
        """Payments received and revenue earned, per asset, way to pay and product. Staff only."""
        query = parsed(RangeQuery, request.query_params)
        span = spans.of_days(query.get(FIRST), query.get(LAST))
        return Response(RevenueShape(_answer(span)).data)


def _answer(span: Span) -> dict[str, Any]:
    came, earned = takings(span, (Part.RECEIVED, Part.REFUNDED)), revenue(span)
    known = {*came.assets(Part.RECEIVED, Part.REFUNDED), *earned.assets}
    assets = [_of_asset(came, earned, unit) for unit in ASSETS.values() if unit in known]
    return {"first": span.first, "last": span.last, "assets": assets}


def _of_asset(came: Takings, earned: Revenue, unit: Asset) -> dict[str, Any]:
    received = came.total(Part.RECEIVED, unit)
    return {
        "asset": unit.code,
        "total": received.amount,
        "count": received.count,
        "average": received.average,
        "tax": received.tax,
        "refunded": came.total(Part.REFUNDED, unit).amount,
        "revenue": earned.total(unit),
        "by_rail": _parts(unit, came.by_rail(Part.RECEIVED, unit), earned.by_rail(unit)),
        "by_product": _parts(unit, came.by_product(unit), earned.by_product(unit)),
    }


def _parts(unit: Asset, came: dict[str, Sum], earned: dict[str, Money]) -> list[dict[str, Any]]:
    names = sorted({*came, *earned})
    nothing = Sum(unit)
    return [
        {
            "name": name,
            "count": came.get(name, nothing).count,
            "total": came.get(name, nothing).amount,
            "revenue": earned.get(name, Money(0, unit)),
        }
        for name in names
    ]
