"""Which language an answer is in."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

# Programs compare texts, and staff read one language: these answer in the source's own.
UNTRANSLATED = ("/api/", "/admin/")


class LanguageMiddleware:
    """The user's own choice, else the cookie's, else what the browser asks for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with translation.override(_language(request)):
            request.LANGUAGE_CODE = translation.get_language() or settings.LANGUAGE_CODE
            response = self.get_response(request)
            response.headers.setdefault("Content-Language", request.LANGUAGE_CODE)
        if not request.path.startswith(UNTRANSLATED):
            patch_vary_headers(response, ("Accept-Language", "Cookie"))
        return response


def _language(request: HttpRequest) -> str:
    if request.path.startswith(UNTRANSLATED):
        return settings.LANGUAGE_CODE
    # Only who has a session can be signed in: nobody else costs a query.
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        chosen: str = getattr(request.user, "language", "")
        if chosen:
            return chosen
    return translation.get_language_from_request(request)
