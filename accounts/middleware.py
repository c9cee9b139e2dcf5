"""Sets ``request.customer``: for whom the signed-in user acts."""

import uuid
from collections.abc import Callable
from functools import cache

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from accounts import selectors
from accounts.models import Customer, Membership

SESSION_KEY = "customer_id"


class CustomerMiddleware:
    """Gives every request a lazy ``customer`` and ``membership``: one query, when first looked at.

    Both are false (``if not request.customer``) for staff without a customer and the signed out.
    ``memberships`` are all of the user's, the current one first: the same query.
    A program's key overrides ``customer`` (``accounts.authentication``).
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        @cache
        def memberships() -> list[Membership]:
            return selectors.acting_memberships(request.user, chosen_id=_chosen_id(request))

        def membership() -> Membership | None:
            return next(iter(memberships()), None)

        def customer() -> Customer | None:
            found = membership()
            return found.customer if found else None

        request.memberships = SimpleLazyObject(memberships)  # type: ignore[attr-defined]
        request.membership = SimpleLazyObject(membership)  # type: ignore[attr-defined]
        request.customer = SimpleLazyObject(customer)  # type: ignore[attr-defined]
        return self.get_response(request)


def _chosen_id(request: HttpRequest) -> uuid.UUID | None:
    if not request.user.is_authenticated:
        return None
    try:
        return uuid.UUID(request.session[SESSION_KEY])
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
