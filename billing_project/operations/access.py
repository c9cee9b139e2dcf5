"""Who may look behind the curtain: this machine, staff, and whoever has the token."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from billing_project import env

# A proxy of ours runs on this machine too; what it passes on comes from elsewhere.
_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Forwarded")


def is_local(request: HttpRequest) -> bool:
    """Whether the request was made on this machine, not merely passed on by it."""
    is_forwarded = any(name in request.headers for name in _FORWARDED)
    return not is_forwarded and env.is_loopback(request.META.get("REMOTE_ADDR") or "")


def may_see_details(request: HttpRequest) -> bool:
    """Whether the caller is told what exactly is wrong. Staff is looked up only if need be."""
    if is_local(request) or has_token(request):
        return True
    user = request.user
    return bool(user.is_authenticated and user.is_active and user.is_staff)


def has_token(request: HttpRequest) -> bool:
    """Whether ``Authorization: Bearer`` carries METRICS_TOKEN; never while that is unset."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = settings.METRICS_TOKEN
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(given, token)
