"""Where Stripe tells us what happened: verify, store, answer. Nothing else."""

from __future__ import annotations

import json
from typing import Any

import stripe
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.rails.card import objects
from billing.services import inbox

MAX_BYTES = 1_048_576
TOLERANCE_SECONDS = 300


class BadEvent(Exception):
    """Not an event of ours; the message says why and goes back to the sender."""

    def __init__(self, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.status = status


@csrf_exempt
@require_POST
def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Store a signed event under its id and answer 200; 400 for what is none, 413 if too large."""
    try:
        event = _verify(request)
    except BadEvent as refusal:
        return HttpResponse(f"{refusal}\n", status=refusal.status, content_type="text/plain")
    inbox.record(
        rail="card",
        external_id=event["id"],
        kind=event["type"],
        object_id=str(event["data"]["object"].get("id") or ""),
        payload=event,
        occurred_at=objects.moment(event["created"]),
    )
    return HttpResponse()


def _verify(request: HttpRequest) -> dict[str, Any]:
    """The event in the body, signed with our secret less than five minutes ago."""
    body = _body(request)
    try:
        stripe.WebhookSignature.verify_header(
            body,
            request.headers.get("Stripe-Signature", ""),
            settings.STRIPE_WEBHOOK_SECRET,
            TOLERANCE_SECONDS,
        )
    except (stripe.SignatureVerificationError, ValueError):
        raise BadEvent("signature missing, wrong or too old") from None
    try:
        event = _storable(json.loads(body))
        if event["object"] != "event" or not isinstance(event["data"]["object"], dict):
            raise BadEvent("not a snapshot event")
        if event["livemode"] is not settings.STRIPE_LIVE_MODE:
            raise BadEvent("event and keys differ in test or live mode")
        if not (_is_name(event["id"], 128) and _is_name(event["type"], 80)):
            raise BadEvent("not an event")
        objects.moment(event["created"])
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        raise BadEvent("not an event") from None
    return dict(event)


def _is_name(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest


def _storable(value: Any) -> Any:
    """The same without what JSON can say and PostgreSQL cannot hold: NUL and half a surrogate."""
    if isinstance(value, str):
        return value.replace("\0", "").encode(errors="replace").decode()
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    return value


def _body(request: HttpRequest) -> str:
    try:
        if int(request.headers.get("Content-Length") or 0) > MAX_BYTES:
            raise BadEvent("too large", status=413)
        return request.body.decode()
    except RequestDataTooBig:
        raise BadEvent("too large", status=413) from None
    except ValueError:
        raise BadEvent("not text") from None
