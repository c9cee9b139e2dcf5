"""Who calls the API: a program with a key, or a signed-in user."""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from accounts.http import PortalRequest
from accounts.models import ApiKey
from accounts.services import api_keys
from common.errors import Forbidden


@dataclass(frozen=True, slots=True)
class Program:
    """The caller behind an API key: signed in, never staff, no user of ours."""

    api_key: ApiKey

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    @property
    def pk(self) -> UUID:
        """The key's id: it names the caller where a user would."""
        return self.api_key.pk

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Programs have scopes, not permissions."""
        return False

    def __str__(self) -> str:
        return str(self.api_key)


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """``Authorization: Bearer bp_…``; sets ``request.customer`` to the key's customer."""

    keyword = "Bearer"

    def authenticate(self, request: Request) -> tuple[Program, ApiKey] | None:
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != self.keyword.lower():
            return None
        api_key = api_keys.authenticate(secret.strip())
        if api_key is None:
            raise exceptions.AuthenticationFailed(
                "This API key is not valid.", code="api_key_invalid"
            )
        django_request = cast("PortalRequest", request._request)
        django_request.customer = api_key.customer
        django_request.membership = None
        return Program(api_key), api_key

    def authenticate_header(self, request: Request) -> str:
        return f'{self.keyword} realm="api"'


class SessionAuthentication(authentication.SessionAuthentication):
    """The signed-in user of a browser; anything but reading needs the CSRF token."""

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied:
            raise Forbidden("The CSRF token is missing or stale.", code="csrf_failed") from None
