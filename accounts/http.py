"""What a view may rely on once somebody is signed in."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_htmx.middleware import HtmxDetails

from accounts.models import Customer, Membership, User
from common.errors import Forbidden

P = ParamSpec("P")


class NoCustomer(Forbidden):
    code = "no_customer"
    message = "This account has no customer that could be billed."


class RoleInsufficient(Forbidden):
    code = "role_insufficient"
    message = "Your role for this customer does not allow this."


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


def paying_role_required(
    view: Callable[Concatenate[SignedInRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Like ``customer_required``, and only for roles that may spend the customer's money."""

    @wraps(view)
    def guarded(request: SignedInRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.membership.may_pay:
            raise RoleInsufficient
        return view(request, *args, **kwargs)

    return customer_required(guarded)
