"""What callers may send about plans and subscriptions."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from billing.api.inputs import Input, ReturnUrlField, TextField
from billing.plans import Interval

MAX_TOKEN_LENGTH = 2_000


class SubscribeInput(Input):
    """Which plan to subscribe to, and how to pay."""

    plan = TextField(max_length=64, help_text="The `slug` of a plan.")
    interval = serializers.ChoiceField(choices=Interval.choices)
    rail = TextField(default="card", max_length=16)
    return_url = ReturnUrlField()


class UpgradeInput(Input):
    """Which plan to change to: first with ``preview``, then with the ``token`` of the quote."""

    plan = TextField(max_length=64, help_text="The `slug` of a plan.")
    interval = serializers.ChoiceField(choices=Interval.choices)
    preview = serializers.BooleanField(
        default=False, help_text="Only tell what it would cost; nothing is changed."
    )
    token = TextField(
        default="",
        allow_blank=True,
        max_length=MAX_TOKEN_LENGTH,
        help_text="The `token` of the quote to confirm: exactly that is charged, or nothing.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Nobody is charged what they have not seen."""
        if attrs["preview"] and attrs["token"]:
            raise serializers.ValidationError("Send either preview or a token, not both.")
        if not attrs["preview"] and not attrs["token"]:
            raise serializers.ValidationError(
                {"token": "Ask with preview first, then confirm with the token of that quote."}
            )
        return attrs


class PortalQuery(serializers.Serializer[Any]):
    """Where the provider's page leads back to."""

    return_url = ReturnUrlField()


class PortalInput(Input):
    """Where the provider's page leads back to."""

    return_url = ReturnUrlField()
