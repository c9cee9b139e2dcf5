"""Holds: a check before work that sets aside what the work may cost."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from accounts.scopes import QUOTA_WRITE
from billing import selectors
from billing.api.base import CustomerRequest, idempotency_key, parsed, refusal
from billing.api.inputs import CaptureInput, HoldInput, NothingInput
from billing.api.shapes import HoldShape
from billing.models import Hold
from billing.money import Money, asset
from billing.services import holds
from common.api import ApiView


class Holds(ApiView):
    """Making holds."""

    required_scopes = (QUOTA_WRITE,)

    @extend_schema(
        operation_id="quota_hold",
        request=HoldInput,
        responses={
            201: HoldShape,
            402: refusal("insufficient_funds", "in_debt", "spend_cap_reached"),
            422: refusal("idempotency_mismatch"),
        },
        tags=["quota"],
    )
    def post(self, request: CustomerRequest) -> Response:
        """Set units aside until captured, released or past their time."""
        wanted = parsed(HoldInput, request.data)
        hold = holds.reserve(
            request.customer,
            Money(wanted["amount_minor"], asset(wanted["unit"])),
            ttl_seconds=wanted["ttl_seconds"],
            reference=wanted["reference"],
            idempotency_key=idempotency_key(request),
        )
        return _answer(hold, status=201)


class OneHold(ApiView):
    """One hold."""

    required_scopes = (QUOTA_WRITE,)

    @extend_schema(
        operation_id="quota_hold_read",
        responses={200: HoldShape, 404: refusal("not_found")},
        tags=["quota"],
    )
    def get(self, request: CustomerRequest, hold_id: UUID) -> Response:
        """How a hold stands."""
        return _answer(selectors.hold(request.customer, hold_id))


class Capture(ApiView):
    """Taking what was held."""

    required_scopes = (QUOTA_WRITE,)

    @extend_schema(
        operation_id="quota_hold_capture",
        request=CaptureInput,
        responses={
            200: HoldShape,
            404: refusal("not_found"),
            409: refusal("hold_closed"),
            422: refusal("exceeds_original"),
        },
        tags=["quota"],
    )
    def post(self, request: CustomerRequest, hold_id: UUID) -> Response:
        """Take all or part of a hold; the rest comes back. The same amount again is the same."""
        wanted = parsed(CaptureInput, request.data)
        return _answer(holds.capture(request.customer, hold_id, wanted.get("amount_minor")))


class Release(ApiView):
    """Giving back what was held."""

    required_scopes = (QUOTA_WRITE,)

    @extend_schema(
        operation_id="quota_hold_release",
        request=NothingInput,
        responses={200: HoldShape, 404: refusal("not_found"), 409: refusal("hold_closed")},
        tags=["quota"],
    )
    def post(self, request: CustomerRequest, hold_id: UUID) -> Response:
        """Give a hold back whole. Giving it back again changes nothing."""
        parsed(NothingInput, request.data)
        return _answer(holds.release(request.customer, hold_id))


def _answer(hold: Hold, *, status: int = 200) -> Response:
    return Response(HoldShape(selectors.hold_row(hold)).data, status=status)
