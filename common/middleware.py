"""A page for every refusal."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from common.errors import BillingError

GetResponse = Callable[[HttpRequest], HttpResponse]


class RefusalPageMiddleware:
    """Shows a ``BillingError`` that a page raised as a page, with the error's own status."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        if not isinstance(exc, BillingError):
            return None
        return render(request, "refused.html", {"refusal": exc}, status=exc.status)
