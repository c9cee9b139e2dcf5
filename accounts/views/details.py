"""What invoices say of a customer, and which e-mails it gets."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.forms import BillingDetailsForm, NotificationsForm
from accounts.http import RoleInsufficient, SignedInRequest, customer_required
from accounts.models import Customer
from accounts.roles import Act
from accounts.services import notifications as wanted


@require_http_methods(["GET", "HEAD", "POST"])
@customer_required
def billing_details(request: SignedInRequest) -> HttpResponse:
    """Name, address, tax number, language and time zone of the customer."""
    _require_role(request)
    customer = Customer.objects.get(pk=request.customer.pk)  # the form writes on it
    form = BillingDetailsForm(request.POST or None, instance=customer)
    if request.method == "POST" and form.is_valid():
        services.change_details(customer, changed=form.changed_data)
        messages.success(request, _("Saved."))
        return redirect("accounts:billing_details")
    return render(request, "accounts/billing_details.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@customer_required
def notifications(request: SignedInRequest) -> HttpResponse:
    """Which e-mails go to the customer's billing address."""
    _require_role(request)
    choices = wanted.choices()
    muted = set(request.customer.muted_emails)
    initial = {"kinds": [choice.kind for choice in choices if choice.kind not in muted]}
    # No box ticked is an answer, too.
    sent = request.POST if request.method == "POST" else None
    form = NotificationsForm(sent, choices=choices, initial=initial)
    if form.is_valid():
        wanted.choose(request.customer, form.cleaned_data["kinds"])
        messages.success(request, _("Saved."))
        return redirect("accounts:notifications")
    always = [choice for choice in choices if not choice.can_be_muted]
    return render(request, "accounts/notifications.html", {"form": form, "always": always})


def _require_role(request: SignedInRequest) -> None:
    """Everybody may look; some may change."""
    if request.method == "POST" and not request.membership.may(Act.DETAILS):
        raise RoleInsufficient
