"""What its owner fills in to switch auto top-up on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing import catalogue
from billing.money import CREDIT, USD, Asset, Money
from billing.selectors import AutoTopUpRow
from billing.services import auto_top_ups
from billing.services.auto_top_ups import Terms
from billing.views.forms import AmountField
from common.errors import InvalidInput

# The field in which each part of the terms is typed.
_FIELDS = {"amount_minor": "amount"}


class MoneyField(AmountField):
    """An amount of one asset as a person writes it; becomes smallest units."""

    def __init__(self, unit: Asset, **kwargs: Any) -> None:
        self.unit = unit
        widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        super().__init__(
            max_digits=15, decimal_places=unit.exponent, min_value=0, widget=widget, **kwargs
        )

    def clean(self, value: Any) -> int | None:
        """Smallest units; None where nothing was typed and nothing has to be."""
        typed: Decimal | None = super().clean(value)
        return None if typed is None else int(typed * self.unit.unit_minor)


class AutoTopUpForm(forms.Form):
    """When to buy, what, how much of it a month, and that its owner agrees."""

    threshold = MoneyField(
        CREDIT,
        label=_("Buy when fewer credits than this are left"),
    )
    package = forms.ChoiceField(
        label=_("What to buy"), widget=forms.RadioSelect, required=False, choices=()
    )
    amount = MoneyField(
        USD,
        required=False,
        label=_("Amount in dollars, if you chose your own"),
    )
    monthly_max = MoneyField(
        USD,
        label=_("Charge no more than this in a month, in dollars"),
        help_text=_("Counted in the same months as your plan's limits."),
    )
    agree = forms.BooleanField(label=auto_top_ups.CONSENT)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sold = catalogue.current()
        packs = [(pack, pack.price_in(USD)) for pack in sold.credit_packs]
        own = _("An amount of your own")
        package = self.fields["package"]
        assert isinstance(package, forms.ChoiceField)  # noqa: S101 - for the type checker
        package.choices = [
            *((pack.slug, f"{pack.credits} · {price}") for pack, price in packs if price),
            ("", own),
        ]
        self.fields["amount"].help_text = _("From %(least)s to %(most)s.") % {
            "least": sold.custom_min,
            "most": sold.custom_max,
        }
        self.fields["agree"].error_messages["required"] = _(
            "Nothing is charged by itself unless you agree to it here."
        )

    def clean(self) -> dict[str, Any]:
        """The terms as the service takes them; what it refuses stands beside its field."""
        cleaned = super().clean() or {}
        if not {"threshold", "package", "amount", "monthly_max"} <= cleaned.keys():
            return cleaned
        package = cleaned["package"]
        if not package and cleaned["amount"] is None:
            self.add_error("amount", _("Choose a package, or type an amount."))
            return cleaned
        try:
            cleaned["terms"] = auto_top_ups.terms(
                threshold_minor=cleaned["threshold"],
                package=package,
                amount_minor=cleaned["amount"],
                monthly_max_minor=cleaned["monthly_max"],
            )
        except InvalidInput as refusal:
            for name, sentences in refusal.fields.items():
                self.add_error(_FIELDS.get(name, name), sentences)
        return cleaned

    @property
    def terms(self) -> Terms:
        """What a valid form asks for."""
        found: Terms = self.cleaned_data["terms"]
        return found


def initial_of(row: AutoTopUpRow | None) -> dict[str, str]:
    """What the form holds before anything is typed: the terms as they are, or a careful start."""
    if row is not None:
        own = "" if row.terms.package else row.terms.price.plain()
        return {
            "threshold": row.terms.threshold.plain(),
            "package": row.terms.package,
            "amount": own,
            "monthly_max": row.terms.monthly_max.plain(),
        }
    packs = [pack for pack in catalogue.current().credit_packs if pack.price_in(USD)]
    if not packs:
        return {}
    first = packs[0]
    price = first.price_in(USD) or Money(0, USD)
    return {
        "threshold": Money(first.credits.amount_minor // 5, CREDIT).plain(),
        "package": first.slug,
        "monthly_max": Money(price.amount_minor * 5, USD).plain(),
    }
