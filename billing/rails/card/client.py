"""The one door to Stripe's API: base URLs, version, time-outs, and what its errors mean to us."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import stripe
from django.conf import settings
from stripe._http_client import RequestsClient

from billing.errors import RailUnavailable

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20.0
CONFLICT, SERVER_ERROR = 409, 500
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class LoopbackClient(RequestsClient):
    """Refuses every address that is not this machine: the sandbox must never reach Stripe."""

    def request(
        self, method: str, url: str, headers: Any, post_data: Any = None, **rest: Any
    ) -> Any:
        _require_loopback(url)
        return super().request(method, url, headers, post_data, **rest)

    def request_stream(
        self, method: str, url: str, headers: Any, post_data: Any = None, **rest: Any
    ) -> Any:
        _require_loopback(url)
        return super().request_stream(method, url, headers, post_data, **rest)


def _require_loopback(url: str) -> None:
    host = urlsplit(url).hostname
    if host not in LOOPBACK:
        raise RuntimeError(f"refusing to call {host}: this portal talks to its sandbox only")


def configure() -> None:
    """Point the stripe library, and with it dj-stripe, at Stripe or at STRIPE_API_BASE."""
    stripe.api_key = settings.STRIPE_SECRET_KEY
    stripe.api_version = settings.STRIPE_API_VERSION
    stripe.max_network_retries = 2
    base = settings.STRIPE_API_BASE
    if base:
        # All four: the library keeps uploads, Connect and meter events on hosts of their own.
        stripe.api_base = base
        stripe.connect_api_base = base
        stripe.upload_api_base = base
        stripe.meter_events_api_base = base
    client = LoopbackClient if base else RequestsClient
    stripe.default_http_client = client(timeout=TIMEOUT_SECONDS)


@contextmanager
def reachable() -> Iterator[None]:
    """Turn "not now" answers into RailUnavailable; refusals and bugs pass through.

    A 5xx is stored by Stripe under the idempotency key and would be repeated for it, so that key
    is spent (docs.stripe.com/api/idempotent_requests).
    """
    try:
        yield
    except (stripe.APIConnectionError, stripe.RateLimitError) as error:
        logger.warning("stripe unreachable", extra={"error": str(error)})
        raise RailUnavailable from error
    except stripe.APIError as error:
        if error.http_status == CONFLICT:  # our own earlier call under this key still runs
            raise RailUnavailable from error
        if error.http_status is not None and error.http_status < SERVER_ERROR:
            raise
        logger.warning("stripe failed", extra={"status": error.http_status, "error": str(error)})
        raise RailUnavailable(key_spent=True) from error
