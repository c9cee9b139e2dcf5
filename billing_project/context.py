"""What every template may use."""

from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy, pgettext_lazy

from accounts.views.appearance import THEME_COOKIE, THEMES

_THEME_NAMES = (
    pgettext_lazy("light or dark", "Auto"),
    gettext_lazy("Light"),
    gettext_lazy("Dark"),
)


def portal(request: HttpRequest) -> dict[str, Any]:
    """``brand``: whose portal this is. ``sandbox``, ``sandbox_url``: whether, and where.

    ``theme``: the light somebody chose, of ``themes``. ``request_id``: what to name when asking
    for help.
    """
    theme = request.COOKIES.get(THEME_COOKIE, "")
    return {
        "brand": settings.SELLER["name"],
        "theme": theme if theme in THEMES else "",
        "themes": list(zip(THEMES, _THEME_NAMES, strict=True)),
        # Each under its own name, whatever the language of the page.
        "languages": settings.LANGUAGES,
        "sandbox": settings.SANDBOX,
        "sandbox_url": settings.SANDBOX_URL,
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }
