"""A page for every refusal."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from common.errors import BillingError

GetResponse = Callable[[HttpRequest], HttpResponse]
# Shows one kind of refusal; None: like any other.
Page = Callable[[HttpRequest, BillingError], HttpResponse | None]

_PAGES: dict[type[BillingError], Page] = {}


def show_with(kind: type[BillingError], page: Page) -> None:
    """Have refusals of that kind, and of kinds of it, shown by a page of their own."""
    _PAGES[kind] = page


class RefusalPageMiddleware:
    """Shows a ``BillingError`` that a page raised as a page, with the error's own status."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        if not isinstance(exc, BillingError):
            return None
        for kind, page in _PAGES.items():
            answer = page(request, exc) if isinstance(exc, kind) else None
            if answer is not None:
                return answer
        return render(request, "refused.html", {"refusal": exc}, status=exc.status)
