"""Paying an order from the customer's credits."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from accounts.scopes import CREDITS_PURCHASE
from billing import selectors
from billing.api.base import CustomerRequest, parsed, refusal
from billing.api.inputs import NothingInput
from billing.api.shapes import OrderShape
from billing.rails.wallet import paying
from common.api import ApiView


class PayOrder(ApiView):
    """Paying from credits."""

    required_scopes = (CREDITS_PURCHASE,)
    throttle_scope = "checkout"

    @extend_schema(
        operation_id="billing_order_pay",
        request=NothingInput,
        responses={
            200: OrderShape,
            402: refusal("insufficient_funds", "in_debt", "spend_cap_reached"),
            404: refusal("not_found"),
            409: refusal("order_closed", "order_outdated", "paid_otherwise", "already_subscribed"),
        },
        tags=["billing"],
    )
    def post(self, request: CustomerRequest, order_id: UUID) -> Response:
        """Pay an order of rail `wallet` from the credits there are: all of its price, or nothing.

        Repeating it takes nothing more, with or without an Idempotency-Key.
        """
        parsed(NothingInput, request.data)
        paying.pay(request.customer, order_id)
        return Response(OrderShape(selectors.purchase(request.customer, order_id)).data)
