"""Typed reading of the environment's variables for the catalogue; a bad one is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from django.core.exceptions import ImproperlyConfigured

from billing.money import Asset, Money

BPS = 10_000
UNLIMITED = "unlimited"


class Reader:
    """Typed reading of single variables; refuses by name."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        text = self._text(name, str(default))
        try:
            number = int(text)
        except ValueError:
            raise ImproperlyConfigured(f"{name}: {text!r} is not a whole number") from None
        if not low <= number <= high:
            raise ImproperlyConfigured(f"{name}: {number} must be from {low} to {high}")
        return number

    def choice(self, name: str, known: tuple[str, ...], default: str) -> str:
        """One of the known words."""
        text = self._text(name, default)
        if text not in known:
            raise ImproperlyConfigured(f"{name}: {text!r} is none of {', '.join(known)}")
        return text

    def limit(self, name: str, default: int | None) -> int | None:
        """A whole number, or None for the word "unlimited"."""
        text = self._text(name, UNLIMITED if default is None else str(default))
        if text.lower() == UNLIMITED:
            return None
        return self.whole(name, default or 0, low=0, high=10**15)

    def days(self, name: str, default: str, *, high: int) -> tuple[int, ...]:
        """Days in rising order, separated by commas, e.g. 0,3,6."""
        text = self._text(name, default)
        try:
            days = tuple(int(one) for one in text.split(","))
        except ValueError:
            raise ImproperlyConfigured(f"{name}: {text!r} are not days like 0,3,6") from None
        if list(days) != sorted(set(days)) or days[0] < 0 or days[-1] > high:
            raise ImproperlyConfigured(f"{name}: {text!r} must rise, from 0 to {high}")
        return days

    def price(self, name: str, default: Money) -> Money:
        """A positive price as a person writes it, e.g. 29.99, in the default's asset."""
        number = self._decimal(name, default.plain())
        minor = number * default.asset.unit_minor
        if minor != minor.to_integral_value() or not 0 < minor <= 10**12:
            raise ImproperlyConfigured(
                f"{name}: {number} is not a positive price in {default.asset}"
                f" with at most {default.asset.exponent} decimals"
            )
        return Money(int(minor), default.asset)

    def optional_price(self, name: str, default: Money | None, unit: Asset) -> Money | None:
        """A positive price, or None where there is no default and nothing is set."""
        if default is None and not self._variables.get(name, "").strip():
            return None
        return self.price(name, default or Money(1, unit))

    def share_bps(self, name: str, default: str) -> int:
        """A share from 0 to 1, e.g. 0.90, in basis points."""
        number = self._decimal(name, default) * BPS
        if number != number.to_integral_value() or not 0 <= number <= BPS:
            raise ImproperlyConfigured(f"{name}: must be a share from 0 to 1, like 0.90")
        return int(number)

    def _decimal(self, name: str, default: str) -> Decimal:
        text = self._text(name, default)
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ImproperlyConfigured(f"{name}: {text!r} is not a number") from None
        if not number.is_finite():
            raise ImproperlyConfigured(f"{name}: {text!r} is not a number")
        return number

    def _text(self, name: str, default: str) -> str:
        return self._variables.get(name, "").strip() or default
