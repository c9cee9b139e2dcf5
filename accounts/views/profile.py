"""Who somebody is, and for whom they act."""

from typing import cast
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import selectors, services
from accounts.forms import ProfileForm
from accounts.http import SignedInRequest, customer_required, safe_next
from accounts.middleware import SESSION_KEY
from accounts.models import User
from common.errors import NotFound


@require_http_methods(["GET", "HEAD", "POST"])
@customer_required
def profile(request: SignedInRequest) -> HttpResponse:
    """Name and language of whoever is signed in."""
    user = User.objects.get(pk=request.user.pk)  # the form writes on it before it is valid
    old_name = user.name
    form = ProfileForm(request.POST or None, instance=user)
    if request.method == "POST" and form.is_valid():
        services.change_profile(user, changed=form.changed_data, old_name=old_name)
        messages.success(request, _("Saved."))
        return redirect("accounts:profile")
    return render(request, "accounts/profile.html", {"form": form})


@require_POST
@login_required
def switch(request: HttpRequest) -> HttpResponse:
    """Act for another customer from now on, in this session; only for its members."""
    wanted = _uuid(request.POST.get("customer_id", ""))
    if wanted is None:
        raise NotFound
    mine = selectors.memberships(cast("User", request.user)).filter(customer_id=wanted).first()
    if mine is None:
        raise NotFound
    request.session[SESSION_KEY] = str(wanted)
    messages.success(request, _("You act for %(customer)s now.") % {"customer": mine.customer})
    return HttpResponseRedirect(safe_next(request, settings.LOGIN_REDIRECT_URL))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
