"""Language and light, as the footer's buttons choose them; for the signed out, too."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from accounts import services
from accounts.http import safe_next
from accounts.models import User
from common.errors import InvalidInput

THEME_COOKIE = "portal_theme"
THEMES = ("", "paper", "night")
_YEAR_SECONDS = 365 * 86_400


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Show pages in this language from now on: on this browser, and to this user everywhere."""
    code = request.POST.get("language", "")
    if code not in dict(settings.LANGUAGES):
        raise InvalidInput(code="unknown_language")
    if isinstance(request.user, User):
        services.choose_language(request.user, code)
    response = HttpResponseRedirect(safe_next(request, "/"))
    _remember(response, settings.LANGUAGE_COOKIE_NAME, code)
    return response


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Light, dark, or (empty) as the device has it; on this browser."""
    name = request.POST.get("theme", "")
    if name not in THEMES:
        raise InvalidInput(code="unknown_theme")
    response = HttpResponseRedirect(safe_next(request, "/"))
    _remember(response, THEME_COOKIE, name)
    return response


def _remember(response: HttpResponse, name: str, value: str) -> None:
    secure = settings.LANGUAGE_COOKIE_SECURE
    response.set_cookie(
        name, value, max_age=_YEAR_SECONDS, secure=secure, samesite="Lax", httponly=True
    )
