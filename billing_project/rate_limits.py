"""Limits of pages and webhooks; the API has its own, log-in and sign-up have django-allauth's.

What makes an order or calls a provider shares the API's ``checkout`` limit, per customer. A
webhook with a good signature is never limited: who sends bad ones is told to stop, no more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework.throttling import BaseThrottle

from common import throttling

GetResponse = Callable[[HttpRequest], HttpResponse]

CHECKOUT = "checkout"
REFUSED_WEBHOOK = "refused_webhook"
WEBHOOKS = "/api/webhooks/"
# What a webhook's view answers to what is not signed, not an event or too large.
_REFUSALS = frozenset({400, 413})


class RateLimitMiddleware:
    """Answers 429 with the time to wait, in place of what was asked for too often."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(WEBHOOKS) and response.status_code in _REFUSALS:
            wait = throttling.seconds_to_wait(REFUSED_WEBHOOK, _address(request))
            if wait is not None:
                return _with_wait(HttpResponse(status=429), wait)
        return response

    def process_view(
        self, request: HttpRequest, _view: Any, _arguments: Any, _names: Any
    ) -> HttpResponse | None:
        """Count a form of the billing pages before it is acted on."""
        match = request.resolver_match
        if request.method != "POST" or match is None or match.app_names != ["billing"]:
            return None
        customer = getattr(request, "customer", None)
        if not customer:
            return None  # nobody: sent to log in
        wait = throttling.seconds_to_wait(CHECKOUT, str(customer.pk))
        return None if wait is None else _with_wait(render(request, "429.html", status=429), wait)


def _address(request: HttpRequest) -> str:
    """Whose request it is, past the proxies of ours."""
    return BaseThrottle().get_ident(request) or "unknown"  # type: ignore[arg-type]


def _with_wait(response: HttpResponse, seconds: float) -> HttpResponse:
    response["Retry-After"] = str(math.ceil(seconds))
    return response
