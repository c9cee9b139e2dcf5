"""What a view may rely on once somebody is signed in."""

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, cast
from urllib.parse import urlencode

from allauth.account import app_settings
from allauth.account.internal.flows.login import get_authentication_records
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django_htmx.middleware import HtmxDetails

from accounts.models import Customer, Membership, User
from accounts.roles import Act
from common.errors import Forbidden

P = ParamSpec("P")


class NoCustomer(Forbidden):
    code = "no_customer"
    message = _("This account has no customer that could be billed.")


class RoleInsufficient(Forbidden):
    code = "role_insufficient"
    message = _("Your role for this customer does not allow this.")


class PortalRequest(HttpRequest):
    """Any request behind ``CustomerMiddleware``. Only a type: nothing is made of it.

    ``customer`` and ``membership`` are lazy: ask for their truth, not whether they are None.
    """

    customer: Customer | None
    membership: Membership | None


class SignedInRequest(HttpRequest):
    """A request of a user who acts for a customer. Only a type, too."""

    user: User
    customer: Customer
    membership: Membership
    # All of the user's, the current one first.
    memberships: Sequence[Membership]
    htmx: HtmxDetails


def customer_required(
    view: Callable[Concatenate[SignedInRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Only for users who act for a customer; sends others to log in, staff to the admin."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not cast("PortalRequest", request).customer:
            if cast("User", request.user).is_staff:
                return redirect("admin:index")
            raise NoCustomer
        return view(cast("SignedInRequest", request), *args, **kwargs)

    protected: Callable[Concatenate[HttpRequest, P], HttpResponse] = login_required(guarded)
    return protected


def act_required(
    act: Act,
) -> Callable[
    [Callable[Concatenate[SignedInRequest, P], HttpResponse]],
    Callable[Concatenate[HttpRequest, P], HttpResponse],
]:
    """Like ``customer_required``, and only for roles that allow this act (``accounts.roles``)."""

    def decorate(
        view: Callable[Concatenate[SignedInRequest, P], HttpResponse],
    ) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @wraps(view)
        def guarded(request: SignedInRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.membership.may(act):
                raise RoleInsufficient
            return view(request, *args, **kwargs)

        return customer_required(guarded)

    return decorate


def paying_role_required(
    view: Callable[Concatenate[SignedInRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Only for roles that may spend the customer's money."""
    return act_required(Act.PAY)(view)


def confirmation_required(
    view: Callable[Concatenate[SignedInRequest, P], HttpResponse],
) -> Callable[Concatenate[SignedInRequest, P], HttpResponse]:
    """Only for users who proved lately that it is them; others are asked, and then come back.

    What was sent is not kept meanwhile: after that the page is read again.
    """

    @wraps(view)
    def guarded(request: SignedInRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not _confirmed_lately(request):
            query = urlencode({REDIRECT_FIELD_NAME: request.path})
            return redirect(f"{reverse('account_reauthenticate')}?{query}")
        return view(request, *args, **kwargs)

    return guarded


def _confirmed_lately(request: HttpRequest) -> bool:
    """As django-allauth counts it, without its look into the tables of second factors."""
    earliest = time.time() - app_settings.REAUTHENTICATION_TIMEOUT
    records = get_authentication_records(request, request.user)
    return any(record.get("reauthenticated") and record["at"] > earliest for record in records)


def safe_next(request: HttpRequest, default: str) -> str:
    """The page named in the form's ``next`` if it is one of ours, else the default."""
    target = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if is_ours else default
