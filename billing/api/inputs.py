"""What callers may send. Unknown fields of a body are refused by name, so that no typo is lost."""

from __future__ import annotations

from typing import Any

from django.utils.http import url_has_allowed_host_and_scheme
from rest_framework import serializers

from billing.selectors import Kind
from billing.selectors.statements import EARLIEST, LATEST
from billing.services import holds

# No balance comes near it, and JavaScript still counts it exactly.
MAX_AMOUNT_MINOR = 10**15


class Input(serializers.Serializer[Any]):
    """A request body."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse fields that mean nothing here."""
        if isinstance(data, dict):
            unknown = {
                name: ["There is no such field."] for name in data if name not in self.fields
            }
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A JSON integer; neither "5" nor 5.0 nor true."""

    def to_internal_value(self, data: Any) -> int:
        """Take integers only: an amount in the wrong unit often shows as a decimal."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return int(super().to_internal_value(data))


class AmountField(WholeNumberField):
    """An amount of smallest units."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "Smallest units, see `assets` in the configuration.")
        super().__init__(min_value=1, max_value=MAX_AMOUNT_MINOR, **kwargs)


class TextField(serializers.CharField):
    """A line of text that can be printed and stored."""

    def to_internal_value(self, data: Any) -> str:
        """Refuse what is no text: numbers, control characters, half characters."""
        if not isinstance(data, str):
            self.fail("invalid")
        text: str = super().to_internal_value(data)
        if not text.isprintable():
            raise serializers.ValidationError("Only characters that can be printed.")
        return text


class ReturnUrlField(TextField):
    """A path of this portal; nobody is sent elsewhere by a link we show."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = "A path of this portal, like /billing/, offered when all is done."
        super().__init__(
            default="", allow_blank=True, max_length=500, help_text=help_text, **kwargs
        )

    def to_internal_value(self, data: Any) -> str:
        """Refuse other hosts, and what a browser would take for one."""
        value = super().to_internal_value(data)
        is_ours = value.startswith("/") and url_has_allowed_host_and_scheme(value, None)
        if value and not is_ours:
            raise serializers.ValidationError("A path of this portal that begins with /.")
        return value


class PurchaseInput(Input):
    """What to buy: a package, or an amount of one's own."""

    package = TextField(required=False, max_length=64, help_text="A package of the configuration.")
    amount_minor = AmountField(required=False)
    rail = TextField(default="card", max_length=16)
    return_url = ReturnUrlField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One or the other."""
        if ("package" in attrs) == ("amount_minor" in attrs):
            raise serializers.ValidationError("Name either a package or an amount_minor.")
        return attrs


class HoldInput(Input):
    """What to set aside, and for how long."""

    unit = serializers.ChoiceField(choices=[unit.code for unit in holds.UNITS], default="CREDIT")
    amount_minor = AmountField()
    ttl_seconds = WholeNumberField(
        default=holds.DEFAULT_TTL_SECONDS,
        min_value=holds.MIN_TTL_SECONDS,
        max_value=holds.MAX_TTL_SECONDS,
        help_text="After this the hold comes back by itself.",
    )
    reference = TextField(
        default="",
        allow_blank=True,
        max_length=holds.MAX_REFERENCE_LENGTH,
        help_text="What it is for, in your words; the statement shows it.",
    )


class CaptureInput(Input):
    """How much to take."""

    amount_minor = AmountField(required=False, help_text="Smallest units; left out: all of it.")


class NothingInput(Input):
    """An empty body."""


class ListQuery(serializers.Serializer[Any]):
    """Which part of a list."""

    limit = serializers.IntegerField(default=50, min_value=1, max_value=200)
    cursor = serializers.CharField(
        default="", allow_blank=True, max_length=500, help_text="`next_cursor` of the page before."
    )


class HistoryQuery(ListQuery):
    """Which part of the statement; days are the customer's own, both included."""

    kind = serializers.ChoiceField(default="", choices=Kind.choices, allow_blank=True)
    since = serializers.DateField(default=None, allow_null=True)
    until = serializers.DateField(default=None, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Days that a statement can have."""
        for name in ("since", "until"):
            if attrs[name] and not EARLIEST <= attrs[name] < LATEST:
                raise serializers.ValidationError(
                    {name: f"Choose a day from {EARLIEST} to {LATEST}."}
                )
        return attrs
