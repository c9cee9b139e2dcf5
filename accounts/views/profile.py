"""The settings page."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts import services
from accounts.forms import ProfileForm
from accounts.http import RoleInsufficient, SignedInRequest, customer_required


@require_http_methods(["GET", "HEAD", "POST"])
@customer_required
def profile(request: SignedInRequest) -> HttpResponse:
    """Name, billing address, country and time zone of the customer."""
    if request.method == "POST" and not request.membership.may_pay:
        raise RoleInsufficient
    form = ProfileForm(request.POST or None, instance=request.membership.customer)
    if request.method == "POST" and form.is_valid():
        services.change_profile(form.instance, changed=form.changed_data)
        messages.success(request, _("Saved."))
        return redirect("accounts:profile")
    return render(request, "accounts/profile.html", {"form": form})
