"""What every template may use."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def portal(_request: HttpRequest) -> dict[str, Any]:
    """``sandbox``: whether the banner must say that no real money moves; and where the sandbox is."""
    return {"sandbox": settings.SANDBOX, "sandbox_url": settings.SANDBOX_URL}
