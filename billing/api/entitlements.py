"""What the customer may do now."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts.scopes import SUBSCRIPTION_READ
from billing import selectors
from billing.api.base import CustomerRequest
from billing.plans import MONTHLY
from billing.selectors import Entitlements
from common.api import ApiView


class LimitShape(serializers.Serializer[Any]):
    """How much there may be of something."""

    name = serializers.CharField()
    amount = serializers.IntegerField(allow_null=True, help_text="null: unlimited")
    is_monthly = serializers.BooleanField(help_text="Whether it counts anew each month.")


class EntitlementsShape(serializers.Serializer[Any]):
    """The plan that counts, what it allows, and until when that is sure."""

    plan = serializers.CharField(help_text="Its slug.")
    plan_name = serializers.CharField()
    subscription_id = serializers.UUIDField(allow_null=True, help_text="null on the free plan")
    limits = LimitShape(many=True)
    features = serializers.ListField(child=serializers.CharField())
    month_starts_at = serializers.DateTimeField()
    month_ends_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField(
        help_text="The next moment at which time alone may change this."
    )


class TheEntitlements(ApiView):
    """Limits and features."""

    required_scopes = (SUBSCRIPTION_READ,)

    @extend_schema(
        operation_id="billing_entitlements", responses=EntitlementsShape, tags=["subscriptions"]
    )
    def get(self, request: CustomerRequest) -> Response:
        """What the best live subscription allows, else the free plan, with all that was added."""
        return Response(EntitlementsShape(_shown(selectors.entitlements(request.customer))).data)


def _shown(found: Entitlements) -> dict[str, Any]:
    return {
        "plan": found.plan.slug,
        "plan_name": found.plan.name,
        "subscription_id": found.subscription_id,
        "limits": [
            {"name": name, "amount": amount, "is_monthly": name in MONTHLY}
            for name, amount in found.limits.items()
        ],
        "features": sorted(found.features),
        "month_starts_at": found.month_starts_at,
        "month_ends_at": found.month_ends_at,
        "valid_until": found.valid_until,
    }
