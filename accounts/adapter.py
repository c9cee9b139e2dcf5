"""Where django-allauth meets our users and customers."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.http import HttpRequest
from django.urls import reverse

from accounts import selectors, services
from accounts.models import User


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Gives whoever signs up a customer, and keeps its address in step with the log-in."""

    def save_user(  # the signature is allauth's
        self,
        request: HttpRequest,
        user: Any,
        form: Any,
        commit: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:
        """Save the new user; the form wraps this and all that follows in one transaction."""
        user.name = form.cleaned_data.get("name", "")
        saved = super().save_user(request, user, form, commit=commit)
        if commit:
            services.open_personal_customer(saved)
        return saved

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm an address; where it replaces the log-in, the billing address follows."""
        old_email = User.objects.values_list("email", flat=True).get(pk=email_address.user_id)
        confirmed: bool = super().confirm_email(request, email_address)
        if confirmed:
            user = User.objects.get(pk=email_address.user_id)
            services.follow_email(user, old_email=old_email)
        return confirmed

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """The dashboard; the admin for staff who have no customer."""
        user = request.user
        if user.is_staff and selectors.current_customer(user) is None:
            return reverse("admin:index")
        return str(super().get_login_redirect_url(request))
