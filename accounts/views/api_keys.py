"""API keys: list, make, revoke."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accounts import scopes, selectors
from accounts.forms import ApiKeyForm
from accounts.http import SignedInRequest, act_required, customer_required
from accounts.models import ApiKey, Membership
from accounts.roles import Act
from accounts.services import api_keys
from common import clock
from common.errors import BillingError


@require_safe
@customer_required
def index(request: SignedInRequest) -> HttpResponse:
    """All keys of the customer, without their secrets."""
    members = set(
        Membership.objects.filter(customer=request.customer).values_list("user_id", flat=True)
    )
    rows = [_row(api_key, members) for api_key in selectors.api_keys(request.customer)]
    return render(request, "accounts/api_keys.html", {"rows": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@act_required(Act.KEYS)
def create(request: SignedInRequest) -> HttpResponse:
    """Make a key. Its secret is shown in this one answer, which nobody may cache."""
    form = ApiKeyForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "accounts/api_key_create.html", {"form": form})
    try:
        new_key = api_keys.create(
            request.customer,
            created_by=request.user,
            name=form.cleaned_data["name"],
            scope_names=form.cleaned_data["scope_names"],
            expires_at=form.expires_at(clock.now()),
        )
    except BillingError as refusal:
        form.add_error(None, str(refusal))
        return render(
            request, "accounts/api_key_create.html", {"form": form}, status=refusal.status
        )
    return render(request, "accounts/api_key_created.html", {"new_key": new_key})


@require_http_methods(["GET", "HEAD", "POST"])
@act_required(Act.KEYS)
def revoke(request: SignedInRequest, key_id: UUID) -> HttpResponse:
    """Ask, then revoke."""
    api_key = get_object_or_404(ApiKey, pk=key_id, customer=request.customer)
    if request.method != "POST":
        return render(request, "accounts/api_key_revoke.html", {"api_key": api_key})
    if api_keys.revoke(api_key):
        messages.success(request, _("The key “%(name)s” no longer works.") % {"name": api_key.name})
    return redirect("accounts:api_keys")


def _row(api_key: ApiKey, members: set[UUID]) -> dict[str, object]:
    known = [scopes.find(name) for name in api_key.scopes]
    return {
        "api_key": api_key,
        "is_live": api_keys.is_live(api_key),
        # It belongs to the customer, and goes on working.
        "maker_left": api_key.created_by_id is not None and api_key.created_by_id not in members,
        "scopes": [scope for scope in known if scope is not None],
    }
