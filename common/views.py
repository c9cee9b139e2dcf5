"""What is shown when nothing else answers: JSON under /api/, a page elsewhere."""

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import requires_csrf_token

from common.api import UNEXPECTED, error_response
from common.errors import BillingError, Forbidden, NotFound

API_PREFIX = "/api/"


@requires_csrf_token
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """400: the request cannot be read."""
    if request.path.startswith(API_PREFIX):
        refusal = BillingError("The request is malformed.", code="malformed_request")
        return error_response(refusal)
    return render(request, "400.html", status=400)


@requires_csrf_token
def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """403: known, and not allowed."""
    if request.path.startswith(API_PREFIX):
        return error_response(Forbidden())
    return render(request, "403.html", status=403)


@requires_csrf_token
def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    """404: no such address."""
    if request.path.startswith(API_PREFIX):
        return error_response(NotFound("There is no such address."))
    return render(request, "404.html", status=404)


@requires_csrf_token
def server_error(request: HttpRequest) -> HttpResponse:
    """500: a bug of ours. Rendered without a request, so that it needs no database."""
    if request.path.startswith(API_PREFIX):
        return error_response(UNEXPECTED)
    context = {"request_id": structlog.contextvars.get_contextvars().get("request_id", "")}
    return HttpResponse(render_to_string("500.html", context), status=500)


@requires_csrf_token
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """403 for a form whose token is missing or stale."""
    if request.path.startswith(API_PREFIX):
        refusal = Forbidden("The CSRF token is missing or stale.", code="csrf_failed")
        return error_response(refusal)
    return render(request, "403.html", {"stale_form": True}, status=403)
