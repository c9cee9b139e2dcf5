"""Redis as operations see it: whether it answers, and how many rings wait in it."""

from __future__ import annotations

from functools import cache

import redis
from django.conf import settings

QUEUE = "celery"
TIMEOUT_SECONDS = 1.0


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_connect_timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        retry=None,
    )


def client() -> redis.Redis:
    """A client that gives up quickly."""
    return _client(settings.REDIS_URL)


def answers() -> bool:
    """Whether Redis answers now."""
    return queue_depth() is not None


def queue_depth() -> int | None:
    """Rings that no worker has heard yet; None while Redis does not answer."""
    try:
        depth: int = client().llen(QUEUE)
    except (redis.RedisError, OSError):
        return None
    return depth
