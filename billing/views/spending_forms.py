"""What people type about their spending."""

from __future__ import annotations

from decimal import Decimal

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.money import CREDIT, Money
from billing.services import spend_caps
from billing.views.forms import AmountField


class CapForm(forms.Form):
    """The most credits that may be spent in a month, as a person writes it: 500 or 12.5."""

    cap = AmountField(
        max_digits=20,
        label=gettext_lazy("Credits a month"),
        help_text=gettext_lazy("0 stops all spending."),
        widget=forms.TextInput(
            attrs={"inputmode": "decimal", "autocomplete": "off", "placeholder": "5000"}
        ),
    )

    def clean_cap(self) -> Money:
        """The amount in smallest units; refused below nothing and beyond any month."""
        minor = self.cleaned_data["cap"] * Decimal(CREDIT.unit_minor)
        if minor != minor.to_integral_value():
            raise forms.ValidationError(
                _("Credits have %(places)s decimals at most.") % {"places": CREDIT.exponent}
            )
        cap = Money(int(minor), CREDIT)
        if not Money(0, CREDIT) <= cap <= spend_caps.MAX_CAP:
            raise forms.ValidationError(
                _("Choose an amount from %(least)s to %(most)s.")
                % {"least": Money(0, CREDIT), "most": spend_caps.MAX_CAP}
            )
        return cap
