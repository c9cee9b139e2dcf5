"""The forms of the account pages."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast
from zoneinfo import available_timezones

from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import SignupForm as AllauthSignupForm
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import countries, scopes
from accounts.models import Customer, Membership, User
from accounts.services.notifications import Choice

EMAIL_MAX_LENGTH = 254
# Each role with what it may, as accounts.roles says.
ROLES = (
    (Membership.Role.MEMBER, _("Member: sees everything, changes nothing")),
    (Membership.Role.BILLING, _("Billing: pays, changes plan, limits, keys and billing details")),
    (Membership.Role.OWNER, _("Owner: all of that, and decides who belongs to the team")),
)


def refuse_long_address(email: str) -> None:
    """Refuse what does not fit: django-allauth cuts it short, which makes it another address."""
    if len(email) > EMAIL_MAX_LENGTH:
        sentence = _("An e-mail address has at most %(count)s characters.")
        raise ValidationError(sentence, params={"count": EMAIL_MAX_LENGTH})


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
        label=_("Name"),
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
    """What somebody says of themselves, whoever they act for."""

    language = forms.ChoiceField(
        required=False,
        label=_("Language of the pages"),
        choices=lambda: [("", _("As the browser asks for")), *settings.LANGUAGES],
    )

    class Meta:
        model = User
        fields = ("name", "language")
        labels = {"name": _("Name")}
        help_texts = {"name": _("Shown to your teams. Your own invoices name it, too.")}
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}


class BillingDetailsForm(forms.ModelForm):  # type: ignore[type-arg]
    """What invoices say of a customer, and how its documents are written."""

    country = forms.ChoiceField(required=False, label=_("Country"))
    time_zone = forms.ChoiceField(
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
        label=_("Time zone"),
        help_text=_("Your days and months are counted in it."),
    )

    class Meta:
        model = Customer
        fields = ("name", "email", "address", "country", "tax_id", "language", "time_zone")
        labels = {
            "name": _("Name on invoices"),
            "email": _("Billing e-mail"),
            "address": _("Address"),
            "tax_id": _("Tax number"),
            "language": _("Language of invoices and e-mails"),
        }
        widgets = {
            "address": forms.Textarea(attrs={"rows": 3, "autocomplete": "street-address"}),
        }
        help_texts = {
            "address": _("Shown on your invoices; those that are issued stay as they are."),
            "email": _("Receipts go here. It does not change how you log in."),
            "tax_id": _("E.g. your VAT number with the letters of its country."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = countries.choices()
        stored = self.instance.country
        if stored and stored not in dict(known):  # came from a payment provider
            known.append((stored, stored))
        country = cast("forms.ChoiceField", self.fields["country"])
        country.choices = [("", _("Not said")), *known]

    def clean(self) -> dict[str, Any]:
        """Refuse a VAT number that cannot be one of the country it names."""
        cleaned = super().clean() or {}
        country, tax_id = cleaned.get("country", ""), cleaned.get("tax_id", "")
        example = countries.example_if_wrong(country, tax_id) if country and tax_id else ""
        if example:
            sentence = _("A VAT number of this country looks like %(example)s.")
            self.add_error("tax_id", ValidationError(sentence, params={"example": example}))
        return cleaned


class TeamForm(forms.Form):
    """A new team."""

    name = forms.CharField(max_length=150, label=_("Name of the team"))
    email = forms.EmailField(
        max_length=254,
        label=_("Billing e-mail"),
        help_text=_("Receipts of the team go here."),
    )


class RoleForm(forms.Form):
    """Which role somebody has."""

    role = forms.ChoiceField(label=_("Role"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = cast("forms.ChoiceField", self.fields["role"])
        role.choices = list(ROLES)


class InvitationForm(RoleForm):
    """Whom to ask, and in which role."""

    email = forms.EmailField(
        max_length=254,
        label=_("E-mail address"),
        help_text=_("They join by signing in, or signing up, with this address."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields(["email", "role"])


class RemovalForm(forms.Form):
    """What becomes of the keys that somebody made who is taken out."""

    revoke_keys = forms.BooleanField(
        required=False, initial=True, label=_("Revoke the keys they made, too")
    )


class CloseForm(forms.Form):
    """The last question before an account is closed."""

    email = forms.CharField(
        max_length=254,
        label=_("Your log-in e-mail address"),
        help_text=_("Type it to show that you mean it."),
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_email(self) -> str:
        """Compare as the log-in does."""
        email = str(self.cleaned_data["email"]).strip().lower()
        if email != self.user.email:
            raise ValidationError(_("This is not the address you log in with."))
        return email


class NotificationsForm(forms.Form):
    """Which e-mails are wanted, of those that are a choice."""

    kinds = forms.MultipleChoiceField(
        required=False, label=_("Send me"), widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, choices: Sequence[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = cast("forms.MultipleChoiceField", self.fields["kinds"])
        kinds.choices = [(choice.kind, choice.label) for choice in choices if choice.can_be_muted]


class ApiKeyForm(forms.Form):
    """A new API key."""

    LIFETIMES: ClassVar = [
        ("", _("Never")),
        ("30", _("In 30 days")),
        ("90", _("In 90 days")),
        ("365", _("In a year")),
    ]

    name = forms.CharField(
        max_length=80,
        label=_("Name"),
        help_text=_("What will use it, e.g. the name of a server or a job."),
    )
    scope_names = forms.MultipleChoiceField(
        label=_("It may"),
        choices=lambda: [(scope.name, scope.title) for scope in scopes.known()],
        widget=forms.CheckboxSelectMultiple,
    )
    lifetime_days = forms.TypedChoiceField(
        label=_("Expires"), choices=LIFETIMES, coerce=int, empty_value=None, required=False
    )

    def expires_at(self, now: datetime) -> datetime | None:
        """When a key made at ``now`` ends; None for never."""
        days = self.cleaned_data["lifetime_days"]
        return None if days is None else now + timedelta(days=days)
