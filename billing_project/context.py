"""What every template may use."""

from typing import Any

import structlog
from django.conf import settings
from django.http import HttpRequest


def portal(_request: HttpRequest) -> dict[str, Any]:
    """``sandbox``: whether to say that no real money moves; ``sandbox_url``: where it is.

    ``request_id``: what to name when asking for help.
    """
    return {
        "sandbox": settings.SANDBOX,
        "sandbox_url": settings.SANDBOX_URL,
        "request_id": structlog.contextvars.get_contextvars().get("request_id", ""),
    }
