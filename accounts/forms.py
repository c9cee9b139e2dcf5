"""The forms of the account pages."""

from datetime import datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import available_timezones

from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django import forms
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from accounts import scopes
from accounts.models import Customer, User

EMAIL_MAX_LENGTH = 254


def refuse_long_address(email: str) -> None:
    """Refuse what does not fit: django-allauth cuts it short, which makes it another address."""
    if len(email) > EMAIL_MAX_LENGTH:
        raise ValidationError(f"An e-mail address has at most {EMAIL_MAX_LENGTH} characters.")


class AddEmailForm(AllauthAddEmailForm):  # type: ignore[misc]
    """A new address to log in with; the old one stays until the new one is confirmed."""

    def clean_email(self) -> str:
        """Refuse an address that is too long, before it is looked up."""
        refuse_long_address(self.cleaned_data["email"])
        return str(super().clean_email())

    def save(self, request: HttpRequest) -> EmailAddress:
        """Replace the address that waits to be confirmed, and send it its link.

        django-allauth would take a log-in that was never confirmed for such an address too, and
        leave the user without any.
        """
        with transaction.atomic():
            waiting = EmailAddress.objects.filter(user=self.user, verified=False)
            waiting.exclude(email=self.user.email).delete()
            address = EmailAddress.objects.create(user=self.user, email=self.cleaned_data["email"])
        send_verification_email_to_address(request, address)
        return address


class SignupForm(AllauthSignupForm):  # type: ignore[misc]
    """Sign-up with an optional name."""

    name = forms.CharField(
        max_length=150,
        required=False,
        label="Name (optional)",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order: ClassVar[list[str]] = ["name", "email", "password1", "password2"]

    def clean_email(self) -> str:
        """Refuse an address that is too long, before it is looked up."""
        refuse_long_address(self.cleaned_data["email"])
        return str(super().clean_email())

    def try_save(self, request: HttpRequest) -> Any:
        """Sign up; the loser of a race for an address hears what a late-comer hears."""
        try:
            return super().try_save(request)
        except IntegrityError:
            if not User.objects.filter(email=self.cleaned_data["email"].lower()).exists():
                raise
            self.account_already_exists = True
            return super().try_save(request)

    @transaction.atomic
    def save(self, request: HttpRequest) -> Any:
        """User, customer and address: all of them or none."""
        return super().save(request)


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a customer may change about itself."""

    country = forms.CharField(max_length=2, required=False, help_text="Two letters, like DE or US.")
    time_zone = forms.ChoiceField(
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
        help_text="Your days and months are counted in it.",
    )

    class Meta:
        model = Customer
        fields = ("name", "email", "address", "country", "tax_id", "time_zone")
        labels = {"email": "Billing e-mail"}
        widgets = {"address": forms.Textarea(attrs={"rows": 3, "autocomplete": "street-address"})}
        help_texts = {
            "address": "Shown on your invoices; those that are issued stay as they are.",
            "email": "Receipts go here. It does not change how you log in.",
        }

    def clean_country(self) -> str:
        """Take small letters too."""
        return str(self.cleaned_data["country"]).upper()


class ApiKeyForm(forms.Form):
    """A new API key."""

    LIFETIMES: ClassVar = [
        ("", "Never"),
        ("30", "In 30 days"),
        ("90", "In 90 days"),
        ("365", "In a year"),
    ]

    name = forms.CharField(
        max_length=80, help_text="What will use it, e.g. the name of a server or a job."
    )
    scope_names = forms.MultipleChoiceField(
        label="It may",
        choices=lambda: [(scope.name, scope.title) for scope in scopes.known()],
        widget=forms.CheckboxSelectMultiple,
    )
    lifetime_days = forms.TypedChoiceField(
        label="Expires", choices=LIFETIMES, coerce=int, empty_value=None, required=False
    )

    def expires_at(self, now: datetime) -> datetime | None:
        """When a key made at ``now`` ends; None for never."""
        days = self.cleaned_data["lifetime_days"]
        return None if days is None else now + timedelta(days=days)
