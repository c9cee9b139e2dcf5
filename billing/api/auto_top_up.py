"""Auto top-up over the API: a program may look, narrow it and switch it off, and no more."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts.http import PortalRequest
from accounts.scopes import CREDITS_READ, SPENDING_WRITE
from billing import selectors
from billing.api.base import CustomerRequest, parsed, refusal, user_of
from billing.api.inputs import AmountField, Input, TextField
from billing.api.shapes import AmountShape
from billing.models import AutoTopUp, AutoTopUpState, AutoTopUpStop, ChargeState
from billing.selectors import AutoTopUpRow
from billing.services import auto_top_ups
from billing.services.auto_top_ups import Terms
from common.api import ApiView
from common.errors import InvalidInput

_TAGS = ["billing"]


class AutoTopUpInput(Input):
    """When to buy, what, and how much of it a month: credits, and cents of a dollar."""

    threshold_minor = AmountField(
        help_text="Buys when less than this can be spent; smallest units of CREDIT."
    )
    package = TextField(
        required=False,
        max_length=64,
        help_text="Of the configuration; or `amount_minor`.",
    )
    amount_minor = AmountField(
        required=False, help_text="Credits for this many cents; or `package`."
    )
    monthly_max_minor = AmountField(help_text="Cents, in a month of the customer's anchor.")
    consent = serializers.BooleanField(
        default=False,
        help_text="Of a signed-in person: agrees to `consent_text`. Means nothing from a program.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of the two ways to say what is bought."""
        if ("package" in attrs) == ("amount_minor" in attrs):
            raise serializers.ValidationError(
                {"package": ["Name either a package or amount_minor."]}
            )
        return attrs


class TopUpChargeShape(serializers.Serializer[Any]):
    """One charge."""

    order_id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=ChargeState.values)
    amount = AmountShape(source="order.total")
    requested_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    decline_code = serializers.CharField(help_text="Why it was declined; else empty.")


class AutoTopUpShape(serializers.Serializer[Any]):
    """How it stands. What was never set up is `off`, and all else of it null or empty."""

    state = serializers.ChoiceField(choices=AutoTopUpState.values)
    threshold = AmountShape(allow_null=True)
    package = serializers.CharField(help_text="Empty: credits for the price.")
    price = AmountShape(allow_null=True)
    monthly_max = AmountShape(allow_null=True)
    charged_this_month = AmountShape(allow_null=True)
    card = serializers.CharField(help_text="What people call it; empty while none is known.")
    agreed_at = serializers.DateTimeField(allow_null=True)
    stop_reason = serializers.ChoiceField(
        choices=["", *AutoTopUpStop.values], help_text="Why it is off, if it was on."
    )
    next_try_at = serializers.DateTimeField(
        allow_null=True, help_text="After a decline: when the card is tried again."
    )
    charges = TopUpChargeShape(many=True, help_text="The latest, newest first.")
    consent_text = serializers.CharField(help_text="What a person agrees to.")
    card_url = serializers.CharField(
        allow_null=True, help_text="While it waits for a card: where its owner saves one."
    )


class TheAutoTopUp(ApiView):
    """Buying credits by itself."""

    required_scopes = {
        "GET": (CREDITS_READ,),
        "PUT": (SPENDING_WRITE,),
        "DELETE": (SPENDING_WRITE,),
    }
    throttle_scope = "checkout"

    @extend_schema(operation_id="billing_auto_top_up", responses=AutoTopUpShape, tags=_TAGS)
    def get(self, request: CustomerRequest) -> Response:
        """How it stands, and what it charged."""
        return _answer(request)

    @extend_schema(
        operation_id="billing_auto_top_up_set",
        request=AutoTopUpInput,
        responses={
            200: AutoTopUpShape,
            400: refusal("invalid_input", "unknown_package", "amount_out_of_range"),
            403: refusal("owner_only", "role_insufficient"),
            409: refusal("auto_top_up_not_offered"),
            503: refusal("rail_unavailable"),
        },
        tags=_TAGS,
    )
    def put(self, request: CustomerRequest) -> Response:
        """Switch it on, or change its terms.

        Only a signed-in person who may pay switches it on or lets it charge more, with `consent`.
        A program (an API key) may only lower the amounts of what is on: anything else is answered
        403 `owner_only`. Without a saved card it is `waiting` until its owner has saved one.
        """
        wanted = parsed(AutoTopUpInput, request.data)
        terms = auto_top_ups.terms(
            threshold_minor=wanted["threshold_minor"],
            package=wanted.get("package", ""),
            amount_minor=wanted.get("amount_minor"),
            monthly_max_minor=wanted["monthly_max_minor"],
        )
        if user_of(request) is None:
            auto_top_ups.narrow(request.customer, terms)
            return _answer(request)
        return _answer(request, _switched_on(request, terms, consents=wanted["consent"]))

    @extend_schema(
        operation_id="billing_auto_top_up_off",
        responses={200: AutoTopUpShape},
        tags=_TAGS,
    )
    def delete(self, request: CustomerRequest) -> Response:
        """Switch it off; repeating it changes nothing. A charge under way may still go through."""
        auto_top_ups.switch_off(request.customer)
        return _answer(request)


def _switched_on(request: CustomerRequest, terms: Terms, *, consents: bool) -> AutoTopUp:
    if not consents:
        raise InvalidInput(
            fields={"consent": ["Nothing is charged by itself unless a person agrees to it."]}
        )
    membership = cast("PortalRequest", request).membership
    if not membership:
        raise auto_top_ups.OwnerOnly
    return auto_top_ups.switch_on(membership, terms, words=str(auto_top_ups.CONSENT))


def _answer(request: CustomerRequest, changed: AutoTopUp | None = None) -> Response:
    card_url = None
    if changed is not None and not changed.is_on:
        home = settings.PUBLIC_URL + reverse("billing:auto_top_up")
        done_url = settings.PUBLIC_URL + reverse("billing:auto_top_up_saved")
        card_url = auto_top_ups.saving_url(changed, done_url=done_url, back_url=home)
    row = selectors.auto_top_up(request.customer)
    return Response(AutoTopUpShape(_shown(row) | {"card_url": card_url}).data)


def _shown(row: AutoTopUpRow | None) -> dict[str, Any]:
    terms = row.terms if row else None
    return {
        "state": terms.state if terms else AutoTopUpState.OFF,
        "threshold": terms.threshold if terms else None,
        "package": terms.package if terms else "",
        "price": terms.price if terms else None,
        "monthly_max": terms.monthly_max if terms else None,
        "charged_this_month": row.charged if row else None,
        "card": terms.card if terms else "",
        "agreed_at": terms.consent.agreed_at if terms and terms.consent else None,
        "stop_reason": terms.stop_reason if terms else "",
        "next_try_at": row.next_try_at if row else None,
        "charges": row.charges if row else [],
        "consent_text": str(auto_top_ups.CONSENT),
    }
