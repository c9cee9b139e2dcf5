"""Rate limits of the API: fixed windows counted in the cache."""

import logging
import time
from typing import Any

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

logger = logging.getLogger(__name__)

_PERIOD_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def parse_rate(rate: str) -> tuple[int, int]:
    """``"60/min"`` → (60 calls, 60 seconds). Raises ValueError for anything else."""
    count, slash, period = rate.partition("/")
    if not slash or not count.isdigit() or int(count) < 1 or period[:1] not in _PERIOD_SECONDS:
        raise ValueError(f"not a rate: {rate!r} (like 60/min)")
    return int(count), _PERIOD_SECONDS[period[:1]]


def seconds_to_wait(scope: str, caller: str) -> float | None:
    """Count one call; None when it is within the scope's rate, else when to come again."""
    rate = api_settings.DEFAULT_THROTTLE_RATES.get(scope)
    if not rate:
        return None
    limit, window_seconds = parse_rate(str(rate))
    started, elapsed = divmod(time.time(), window_seconds)
    key = f"throttle:{scope}:{caller}:{int(started)}"
    if _count(key, window_seconds) <= limit:
        return None
    return max(1.0, window_seconds - elapsed)


class WindowThrottle(BaseThrottle):
    """At most so many calls per window and caller, the rate taken from the settings by scope.

    A scope without a rate is not limited. With the cache down the call is let through and the
    failure logged: rate limits guard comfort, never value.
    """

    wait_seconds: float | None = None

    def scope(self, request: Request, view: Any) -> str | None:
        """The name of the rate that applies."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: Any) -> bool:
        scope = self.scope(request, view)
        if scope is not None:
            self.wait_seconds = seconds_to_wait(scope, self.caller(request))
        return self.wait_seconds is None

    def wait(self) -> float | None:
        return self.wait_seconds

    def caller(self, request: Request) -> str:
        """Who is counted: the customer, else the user, else the address."""
        party = getattr(request, "customer", None) or request.user
        if party is not None and party.pk is not None:
            return str(party.pk)
        return self.get_ident(request) or "unknown"


class CallerThrottle(WindowThrottle):
    """The general limit: scope ``api`` for the known, ``api_anonymous`` for the rest."""

    def scope(self, request: Request, view: Any) -> str | None:
        return "api" if request.user.is_authenticated else "api_anonymous"


class ScopeThrottle(WindowThrottle):
    """The tighter limit of a view that sets ``throttle_scope``."""

    def scope(self, request: Request, view: Any) -> str | None:
        return getattr(view, "throttle_scope", None)


def _count(key: str, window_seconds: int) -> int:
    try:
        cache.add(key, 0, timeout=window_seconds + 1)
        return cache.incr(key)
    except ValueError:
        return 1  # the window ended between the two calls
    except Exception:
        # Cache back ends raise whatever their client raises.
        logger.warning("rate limit not counted, the cache does not answer", exc_info=True)
        return 0
