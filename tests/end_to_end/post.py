"""Posting to the webhook as somebody other than the sandbox: a forger, a broken line, Stripe."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import secrets
import time
from contextlib import suppress
from typing import Any

from tests import live


def signature(secret: str, body: bytes, *, age_seconds: int = 0) -> str:
    """The header Stripe would send with this body, that long ago."""
    timestamp = int(time.time()) - age_seconds
    digest = hmac.new(secret.encode(), b"%d.%s" % (timestamp, body), hashlib.sha256)
    return f"t={timestamp},v1={digest.hexdigest()}"


def send(
    portal: live.Portal, body: bytes, header: str | None, *, chunked: bool = False
) -> tuple[int, str]:
    """POST a body to the Stripe webhook; the answer's status and text."""
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if header is not None:
        headers["Stripe-Signature"] = header
    pieces = iter([body[at : at + 65536] for at in range(0, len(body), 65536)])
    try:
        # A server that has seen enough answers and hangs up while we are still sending.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                "POST",
                "/api/webhooks/stripe",
                body=pieces if chunked else body,
                headers=headers,
                encode_chunked=chunked,
            )
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def announce(portal: live.Portal, length: int) -> int:
    """Say how long a body will be and send none of it; the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=60)
    try:
        connection.putrequest("POST", "/api/webhooks/stripe")
        connection.putheader("Content-Length", str(length))
        connection.putheader("Stripe-Signature", "t=1,v1=00")
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def send_signed(portal: live.Portal, event: Any) -> tuple[int, str]:
    """POST an event signed with the portal's own secret."""
    body = json.dumps(event).encode()
    return send(portal, body, signature(portal.webhook_secret, body))


def an_event(kind: str = "checkout.session.completed", **changes: Any) -> dict[str, Any]:
    """An event as Stripe sends it, about an object that does not exist."""
    return {
        "id": f"evt_{secrets.token_hex(12)}",
        "object": "event",
        "api_version": "2026-08-26.dahlia",
        "created": int(time.time()),
        "data": {"object": {"id": "cs_test_unknown", "object": "checkout.session"}},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    } | changes
