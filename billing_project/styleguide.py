"""The page that shows every part of the look, while DEBUG is on."""

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from billing.money import CREDIT, USD, XTR, Money

TONES = ("ok", "warn", "bad", "info", "quiet")


class SampleForm(forms.Form):
    """A field of each kind; shown as it was left, wrong."""

    address = forms.EmailField(help_text="With a word of help.")
    note = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), required=False)
    size = forms.ChoiceField(choices=[("s", "Small"), ("l", "Large")])
    ways = forms.MultipleChoiceField(
        choices=[("card", "Card"), ("wallet", "Credits")], widget=forms.CheckboxSelectMultiple
    )
    agreed = forms.BooleanField(label="I agree")


@require_safe
def styleguide(request: HttpRequest) -> HttpResponse:
    """Colours, type, parts and their states, with made-up figures."""
    context = {
        "tones": TONES,
        "colours": (
            "bg-base-100 text-base-content",
            "bg-base-200 text-base-content",
            "bg-base-300 text-base-content",
            "bg-primary text-primary-content",
            "bg-neutral text-neutral-content",
            "bg-info text-info-content",
            "bg-success text-success-content",
            "bg-warning text-warning-content",
            "bg-error text-error-content",
        ),
        "amounts": (
            Money(1_234_56, USD),
            Money(-9_99, USD),
            Money(2_500_000_000, CREDIT),
            Money(1, CREDIT),
            Money(499, XTR),
        ),
        "form": SampleForm({"address": "not an address", "size": "s", "ways": ["card"]}),
        "bars": ((12, ""), (84, "warn"), (100, "bad")),
    }
    return render(request, "styleguide.html", context)
