"""Form fields of staff acts, dressed for the admin."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import Customer
from billing.money import Asset, Money

MAX_WHOLE = 1_000_000_000


class MoneyField(forms.DecimalField):
    """A positive amount as a person writes it; cleans to Money of the asset, None when empty."""

    widget = UnfoldAdminTextInputWidget

    def __init__(self, *, asset: Asset, **options: Any) -> None:
        self.asset = asset
        options.setdefault("min_value", Decimal(1).scaleb(-asset.exponent))
        options.setdefault("max_value", Decimal(MAX_WHOLE))
        super().__init__(decimal_places=asset.exponent, **options)
        self.widget.attrs["inputmode"] = "decimal"

    def clean(self, value: Any) -> Any:
        """Refuse more decimals than the asset has; never round."""
        number = super().clean(value)
        return (
            None if number is None else Money(int(number.scaleb(self.asset.exponent)), self.asset)
        )


class DayInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """The browser's own calendar; it always sends 2026-12-31."""

    input_type = "date"


class CustomerField(forms.CharField):
    """A customer, named by id or by a billing address that only one customer has."""

    widget = UnfoldAdminTextInputWidget

    def clean(self, value: Any) -> Any:
        """The customer; says why when there is none, or more than one."""
        term = super().clean(value).strip()
        found = list(Customer.objects.filter(email__iexact=term)[:3]) or _by_id(term)
        if not found:
            raise ValidationError("There is no customer with this address or id.")
        if len(found) > 1:
            raise ValidationError("Several customers have this address. Give the id instead.")
        return found[0]


def _by_id(term: str) -> list[Customer]:
    try:
        return list(Customer.objects.filter(pk=term))
    except ValidationError:
        return []
