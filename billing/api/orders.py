"""Buying, and what became of it."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from accounts.scopes import CREDITS_PURCHASE, CREDITS_READ
from billing import selectors
from billing.api.base import CustomerRequest, parsed, refusal, user_of
from billing.api.inputs import ListQuery, PurchaseInput
from billing.api.shapes import OrderShape, TransactionsShape
from billing.services import orders, purchases
from common.api import ApiView


class Transactions(ApiView):
    """Orders and payments."""

    required_scopes = (CREDITS_READ,)

    @extend_schema(
        operation_id="billing_transactions",
        parameters=[ListQuery],
        responses=TransactionsShape,
        tags=["billing"],
    )
    def get(self, request: CustomerRequest) -> Response:
        """Orders, and money that fits none, newest first, with how each stands."""
        query = parsed(ListQuery, request.query_params)
        rows, next_cursor = selectors.purchases(
            request.customer, limit=query["limit"], cursor=query["cursor"]
        )
        answer = {"results": rows, "next_cursor": next_cursor}
        return Response(TransactionsShape(answer).data)


class OneOrder(ApiView):
    """One order."""

    required_scopes = (CREDITS_READ,)

    @extend_schema(
        operation_id="billing_order",
        responses={200: OrderShape, 404: refusal("not_found")},
        tags=["billing"],
    )
    def get(self, request: CustomerRequest, order_id: UUID) -> Response:
        """How an order stands; poll this to learn that it was paid and delivered."""
        return Response(OrderShape(selectors.purchase(request.customer, order_id)).data)


class Purchases(ApiView):
    """Buying credits."""

    required_scopes = (CREDITS_PURCHASE,)
    throttle_scope = "checkout"

    @extend_schema(
        operation_id="billing_credits_purchase",
        request=PurchaseInput,
        responses={
            201: OrderShape,
            400: refusal(
                "invalid_input",
                "unknown_package",
                "amount_out_of_range",
                "not_sold_that_way",
                "rail_not_available",
            ),
            503: refusal("rail_unavailable"),
        },
        tags=["billing"],
    )
    def post(self, request: CustomerRequest) -> Response:
        """Order a package or an amount; send the customer to `pay_url`.

        When the provider is out of reach the answer is 503: repeat it with the same
        Idempotency-Key to go on with the same order.
        """
        wanted = parsed(PurchaseInput, request.data)
        rail = wanted["rail"]
        if "package" in wanted:
            item = purchases.package(wanted["package"], rail=rail)
        else:
            item = purchases.custom(wanted["amount_minor"], rail=rail)
        order = purchases.start_once(
            request.customer,
            item,
            rail=rail,
            placed_by=user_of(request),
            return_url=wanted["return_url"],
            cause=self.claim.key_id if self.claim else None,
        )
        orders.pay_url(order)
        return Response(OrderShape(selectors.purchase(request.customer, order.pk)).data, status=201)
