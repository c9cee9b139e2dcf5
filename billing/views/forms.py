"""What people type into the pages of billing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from billing import catalogue
from billing.money import Money
from billing.selectors import Filters, Kind
from billing.selectors.statements import EARLIEST, LATEST


class AmountForm(forms.Form):
    """An amount of the buyer's choice, as a person writes it: 12.50."""

    amount = forms.DecimalField(max_digits=12, label="Amount")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sold = catalogue.current()
        self.unit = sold.custom_min.asset
        field = self.fields["amount"]
        field.label = f"Amount in {self.unit}"
        field.help_text = f"From {sold.custom_min} to {sold.custom_max}."
        field.widget = forms.TextInput(
            attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "12.50"}
        )

    def clean_amount(self) -> Money:
        """The amount in smallest units; refused outside the catalogue's limits."""
        minor = self.cleaned_data["amount"] * Decimal(self.unit.unit_minor)
        if minor != minor.to_integral_value():
            raise forms.ValidationError(f"{self.unit} has {self.unit.exponent} decimals at most.")
        sold = catalogue.current()
        price = Money(int(minor), self.unit)
        if not sold.custom_min <= price <= sold.custom_max:
            raise forms.ValidationError(
                f"Choose an amount from {sold.custom_min} to {sold.custom_max}."
            )
        return price


class StatementForm(forms.Form):
    """What part of a statement to show; whole days in the customer's time zone."""

    kind = forms.ChoiceField(required=False, choices=[("", "Everything"), *Kind.choices])
    since = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To", widget=forms.DateInput(attrs={"type": "date"})
    )

    def clean(self) -> dict[str, Any]:
        """Days that a statement can have, in their order."""
        cleaned = super().clean() or {}
        for name in ("since", "until"):
            if cleaned.get(name) and not EARLIEST <= cleaned[name] < LATEST:
                self.add_error(name, f"Choose a day from {EARLIEST} to {LATEST}.")
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and since > until:
            self.add_error("until", "This is before the first day.")
        return cleaned

    def filters(self, zone: ZoneInfo) -> Filters:
        """The valid form as the selector wants it."""
        return Filters.for_days(zone=zone, **self.cleaned_data)
