"""What every request passes through: its log line, and the policy for what a page may load."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import structlog
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from billing_project.operations import metrics
from common import ids

logger = structlog.get_logger("portal.request")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

# Pages of other people's making, which need more than our own: the admin theme evaluates its
# Alpine.js attributes and styles inline; the API docs style inline.
_RELAXED: dict[str, dict[str, list[str]]] = {
    "/admin/": {
        "script-src": ["'self'", "'unsafe-eval'", "'unsafe-inline'"],
        "style-src": ["'self'", "'unsafe-inline'"],
    },
    "/api/docs": {"style-src": ["'self'", "'unsafe-inline'"]},
}


class RequestLogMiddleware:
    """Give each request an id, bind it to every log line, and write one line when it is done."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with its id in the header ``X-Request-ID``."""
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(ids.uuid7())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-ID"] = request_id
        seconds = time.perf_counter() - started
        metrics.observe_request(request, response, seconds)
        logger.info(
            "request",
            method=request.method,
            path=request.path,  # without the query, which may carry tokens
            status=response.status_code,
            duration_ms=round(seconds * 1000, 1),
        )
        return response


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """No inline scripts anywhere but in the admin."""

    def get_policy_parts(
        self,
        request: HttpRequest,
        response: HttpResponseBase,
        report_only: bool = False,  # noqa: FBT001, FBT002 - django-csp calls it so
    ) -> PolicyParts:
        """The portal's policy, widened on the paths that need it."""
        parts = super().get_policy_parts(request, response, report_only)
        for prefix, directives in _RELAXED.items():
            if request.path_info.startswith(prefix) and not report_only:
                parts.update = (parts.update or {}) | directives
        return parts
