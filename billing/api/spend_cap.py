"""The monthly spend cap over the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts.scopes import CREDITS_READ, SPENDING_WRITE
from billing import catalogue, selectors
from billing.api.base import CustomerRequest, parsed, user_of
from billing.api.inputs import Input, WholeNumberField
from billing.api.shapes import AmountShape
from billing.money import CREDIT, Money
from billing.selectors import SpendCap
from billing.services import spend_caps
from common.api import ApiView


class SpendCapInput(Input):
    """The cap to set. It has to be named: an empty body lifts nothing."""

    amount_minor = WholeNumberField(
        min_value=0,
        max_value=spend_caps.MAX_CAP.amount_minor,
        allow_null=True,
        help_text="Smallest units of CREDIT a month; 0 stops all spending, null lifts the cap.",
    )


class SpendCapShape(serializers.Serializer[Any]):
    """The cap, and what is used of it in the month that runs."""

    cap = AmountShape(allow_null=True, help_text="null: there is none")
    worth = AmountShape(allow_null=True, help_text="The cap in dollars, at the catalogue rate.")
    used = AmountShape(
        allow_null=True,
        help_text=(
            "Spent and held since the month began; may be beyond the cap by usage that could not "
            "be refused. null without a cap: then nothing is counted."
        ),
    )
    held = AmountShape(allow_null=True, help_text="What of it is held.")
    left = AmountShape(allow_null=True)
    is_reached = serializers.BooleanField(help_text="Nothing more can be spent this month.")
    month_starts_at = serializers.DateTimeField(source="starts_at")
    resets_at = serializers.DateTimeField()


class TheSpendCap(ApiView):
    """Looking at the cap, and setting it."""

    required_scopes = {"GET": (CREDITS_READ,), "PUT": (SPENDING_WRITE,)}

    @extend_schema(operation_id="billing_spend_cap", responses=SpendCapShape, tags=["billing"])
    def get(self, request: CustomerRequest) -> Response:
        """The most that is spent in a month, what is used of it, and when it counts anew."""
        return _answer(selectors.spend_cap(request.customer))

    @extend_schema(
        operation_id="billing_spend_cap_set",
        request=SpendCapInput,
        responses=SpendCapShape,
        tags=["billing"],
    )
    def put(self, request: CustomerRequest) -> Response:
        """Set the cap, or lift it with null. What was spent since the month began counts at once.

        A cap below that is taken: `is_reached` says so, and nothing more is spent this month.
        Spends and holds it does not allow are answered with 402 and `spend_cap_reached`.
        """
        amount_minor = parsed(SpendCapInput, request.data)["amount_minor"]
        by = user_of(request)
        if amount_minor is None:
            return _answer(spend_caps.lift(request.customer, by=by))
        cap = Money(amount_minor, CREDIT)
        return _answer(spend_caps.set_cap(request.customer, cap, by=by))


def _answer(found: SpendCap) -> Response:
    is_counted = found.cap is not None
    told = {
        "cap": found.cap,
        "worth": catalogue.current().worth(found.cap) if found.cap is not None else None,
        "used": found.used if is_counted else None,
        "held": found.held if is_counted else None,
        "left": found.left,
        "is_reached": found.is_reached,
        "starts_at": found.starts_at,
        "resets_at": found.resets_at,
    }
    return Response(SpendCapShape(told).data)
