"""Where django-allauth meets our users and customers."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.contrib import messages
from django.contrib.sites.shortcuts import get_current_site
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import get_language

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
            services.open_personal_customer(saved, language=get_language())
        return saved

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm an address; where it replaces the log-in, the billing address follows.

        False, with a message, when the address is somebody else's log-in by now.
        """
        old_email = User.objects.values_list("email", flat=True).get(pk=email_address.user_id)
        try:
            with transaction.atomic():
                confirmed: bool = super().confirm_email(request, email_address)
        except IntegrityError:
            template = "account/messages/email_confirmation_failed.txt"
            context = {"email": email_address.email}
            self.add_message(request, messages.ERROR, template, context)
            return False
        if confirmed:
            user = User.objects.get(pk=email_address.user_id)
            services.follow_email(user, old_email=old_email)
        return confirmed

    def can_delete_email(self, email_address: EmailAddress) -> bool:
        """Any but the log-in itself: without it nobody gets in any more."""
        is_login = email_address.email == email_address.user.email
        return not is_login and bool(super().can_delete_email(email_address))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send after commit, and only log it when that fails.

        A mail server that is down must not tell, by an error, which addresses have an account.
        """
        details = {
            "request": self.request,
            "email": email,
            "current_site": get_current_site(self.request),
        }
        message = self.render_mail(template_prefix, email, details | context)
        transaction.on_commit(message.send, robust=True)

    def get_login_redirect_url(self, request: HttpRequest) -> str:
        """The dashboard; the admin for staff who have no customer."""
        user = request.user
        if user.is_staff and selectors.current_customer(user) is None:
            return reverse("admin:index")
        return str(super().get_login_redirect_url(request))
