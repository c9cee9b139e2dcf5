"""The sandbox's control API, over HTTP: what a person does at the providers' side of things."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

STRIPE = "/_sandbox/stripe"
# A step of the clock does everything that falls due on the way before it answers.
TIMEOUT_SECONDS = 120


class SandboxError(Exception):
    """The sandbox does not answer, or refuses; the message says which."""


class Sandbox:
    """A running sandbox at its address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str, **query: Any) -> Any:
        """GET, e.g. ``/_sandbox/books``."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, **body: Any) -> Any:
        """POST with a JSON body."""
        return self._call("POST", path, body)

    def advance(self, seconds: int) -> datetime:
        """Move the time on; returns the time it is then."""
        moved = self.post(f"{STRIPE}/clock", advance_seconds=seconds)
        return datetime.fromtimestamp(moved["now"], UTC)

    def is_quiet(self, timeout_seconds: float) -> bool:
        """Whether every webhook was delivered within that time."""
        answer = self.get(f"{STRIPE}/quiet", timeout_seconds=timeout_seconds)
        return bool(answer["quiet"])

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - loopback, checked by the settings
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refusal:
            raise SandboxError(f"The sandbox refuses {path}: {_message(refusal)}") from refusal
        except (OSError, http.client.HTTPException) as problem:
            raise SandboxError(
                f"The sandbox does not answer at {self.address}. Start it with `make run`."
            ) from problem


def ours() -> Sandbox:
    """The sandbox of this portal. Raises SandboxError where there is none."""
    if not settings.SANDBOX:
        raise SandboxError("This works in the sandbox only (SANDBOX=1).")
    return Sandbox(settings.SANDBOX_URL)


def _message(refusal: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(refusal.read())["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {refusal.code}"
