"""What people type into the pages of billing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.formats import get_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy, pgettext_lazy

from billing import catalogue
from billing.money import Money
from billing.selectors import Filters, Kind
from billing.selectors.statements import EARLIEST, LATEST


class AmountField(forms.DecimalField):
    """An amount as a person writes it in the language of the page: 12.50, in Russian 12,50 too."""

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and get_format("DECIMAL_SEPARATOR") == ",":
            value = "".join(value.split()).replace(",", ".")
        return super().to_python(value)


class AmountForm(forms.Form):
    """An amount of the buyer's choice."""

    amount = AmountField(max_digits=12, label=gettext_lazy("Amount"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sold = catalogue.current()
        self.unit = sold.custom_min.asset
        field = self.fields["amount"]
        field.label = _("Amount in %(unit)s") % {"unit": self.unit}
        limits = {"least": sold.custom_min, "most": sold.custom_max}
        field.help_text = _("From %(least)s to %(most)s.") % limits
        field.widget = forms.TextInput(
            attrs={
                "inputmode": "decimal",
                "autocomplete": "off",
                "placeholder": number_format(Decimal("12.50")),
            }
        )

    def clean_amount(self) -> Money:
        """The amount in smallest units; refused outside the catalogue's limits."""
        minor = self.cleaned_data["amount"] * Decimal(self.unit.unit_minor)
        if minor != minor.to_integral_value():
            refusal = ngettext_lazy(
                "%(unit)s has %(count)s decimal at most.",
                "%(unit)s has %(count)s decimals at most.",
                "count",
            )
            words = {"unit": self.unit, "count": self.unit.exponent}
            raise forms.ValidationError(refusal % words)
        sold = catalogue.current()
        price = Money(int(minor), self.unit)
        if not sold.custom_min <= price <= sold.custom_max:
            limits = {"least": sold.custom_min, "most": sold.custom_max}
            raise forms.ValidationError(_("Choose an amount from %(least)s to %(most)s.") % limits)
        return price


class StatementForm(forms.Form):
    """What part of a statement to show; whole days in the customer's time zone."""

    kind = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Kind"),
        choices=[("", gettext_lazy("Everything")), *Kind.choices],
    )
    since = forms.DateField(
        required=False,
        label=pgettext_lazy("a first day", "From"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    until = forms.DateField(
        required=False,
        label=pgettext_lazy("a last day", "To"),
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def clean(self) -> dict[str, Any]:
        """Days that a statement can have, in their order."""
        cleaned = super().clean() or {}
        days = {"first": EARLIEST, "last": LATEST}
        for name in ("since", "until"):
            if cleaned.get(name) and not EARLIEST <= cleaned[name] < LATEST:
                self.add_error(name, _("Choose a day from %(first)s to %(last)s.") % days)
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and since > until:
            self.add_error("until", _("This is before the first day."))
        return cleaned

    def filters(self, zone: ZoneInfo) -> Filters:
        """The valid form as the selector wants it."""
        return Filters.for_days(zone=zone, **self.cleaned_data)
