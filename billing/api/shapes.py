"""What answers look like. Amounts are whole smallest units, with how a person would write them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.models import HoldState
from billing.selectors import Kind, State


class AmountShape(serializers.Serializer[Any]):
    """An amount: ``{"amount_minor": 500, "asset": "USD", "display": "$5.00"}``."""

    amount_minor = serializers.IntegerField(help_text="Smallest units of the asset.")
    asset = serializers.CharField(source="asset.code")
    display = serializers.CharField(source="*", help_text="As a person would write it.")


class AssetShape(serializers.Serializer[Any]):
    """Something that is counted here; one is 10 to the power of ``exponent`` smallest units."""

    code = serializers.CharField()
    exponent = serializers.IntegerField()


class RailShape(serializers.Serializer[Any]):
    """A way to pay."""

    name = serializers.CharField()
    title = serializers.CharField()
    assets = serializers.ListField(child=serializers.CharField())


class PackageShape(serializers.Serializer[Any]):
    """A package of credits, with its price for each way to pay."""

    slug = serializers.CharField()
    name = serializers.CharField()
    credits = AmountShape()
    prices = AmountShape(many=True)
    expires_days = serializers.IntegerField(allow_null=True)


class RateShape(serializers.Serializer[Any]):
    """What one whole unit of a currency buys."""

    price = AmountShape()
    credits = AmountShape()


class RangeShape(serializers.Serializer[Any]):
    """From where to where an amount of the buyer's choice may be."""

    min = AmountShape()
    max = AmountShape()


class HoldLimitsShape(serializers.Serializer[Any]):
    """What a hold may be."""

    units = serializers.ListField(child=serializers.CharField())
    max_amount_minor = serializers.IntegerField()
    min_ttl_seconds = serializers.IntegerField()
    max_ttl_seconds = serializers.IntegerField()
    default_ttl_seconds = serializers.IntegerField()


class ConfigShape(serializers.Serializer[Any]):
    """What can be bought here, and how."""

    rails = RailShape(many=True)
    packages = PackageShape(many=True)
    rates = RateShape(many=True)
    custom_amount = RangeShape(allow_null=True)
    holds = HoldLimitsShape()
    assets = AssetShape(many=True)


class LotShape(serializers.Serializer[Any]):
    """One grant that still holds something."""

    remaining = AmountShape()
    held = AmountShape()
    expires_at = serializers.DateTimeField(allow_null=True)
    is_promotional = serializers.BooleanField()
    granted_at = serializers.DateTimeField()


class CreditsShape(serializers.Serializer[Any]):
    """The balance: while ``debt`` is not 0 nothing can be spent. Lots in the order they burn."""

    spendable = AmountShape()
    held = AmountShape()
    debt = AmountShape()
    lots = LotShape(many=True)
    other = AmountShape(many=True, help_text="Spendable units that are not credits.")


class HistoryRowShape(serializers.Serializer[Any]):
    """One movement, and the balance after it."""

    id = serializers.IntegerField()
    booked_at = serializers.DateTimeField()
    occurred_at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=Kind.choices)
    description = serializers.CharField()
    amount = AmountShape()
    balance = AmountShape()
    order_id = serializers.UUIDField(allow_null=True)


class HistoryShape(serializers.Serializer[Any]):
    """A page of the statement."""

    results = HistoryRowShape(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


class PurchaseShape(serializers.Serializer[Any]):
    """An order, or money that came without one (``order_id`` is null)."""

    id = serializers.UUIDField()
    order_id = serializers.UUIDField(source="order.pk", default=None, allow_null=True)
    payment_id = serializers.UUIDField(source="payment.pk", default=None, allow_null=True)
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=State.choices)
    note = serializers.CharField(help_text="Why money was not applied; else empty.")
    rail = serializers.CharField()
    created_at = serializers.DateTimeField()
    total = AmountShape()
    refunded = AmountShape()


class TransactionsShape(serializers.Serializer[Any]):
    """A page of orders and payments."""

    results = PurchaseShape(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Null on the last page.")


class OrderShape(PurchaseShape):
    """One order. ``pay_url`` is where it is paid while ``state`` is open; else null."""

    subtotal = AmountShape(source="order.subtotal")
    tax = AmountShape(source="order.tax")
    discount = AmountShape()
    pay_url = serializers.SerializerMethodField()
    expires_at = serializers.DateTimeField(source="order.expires_at", allow_null=True)
    paid_at = serializers.DateTimeField(source="order.paid_at", allow_null=True)
    delivered_at = serializers.DateTimeField(source="order.delivered_at", allow_null=True)
    return_url = serializers.CharField(source="order.return_url")

    def get_pay_url(self, purchase: Any) -> str | None:
        """Nothing to pay, no page."""
        return (purchase.order.pay_url or None) if purchase.is_payable else None


class HoldShape(serializers.Serializer[Any]):
    """Units set aside."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=HoldState.choices)
    unit = serializers.CharField()
    amount = AmountShape()
    captured = AmountShape()
    reference = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
