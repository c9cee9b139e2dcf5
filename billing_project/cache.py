"""The cache: for rate limits and the like, so the portal outlives it."""

from __future__ import annotations

import logging
from typing import Any

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

logger = logging.getLogger(__name__)


class ForgivingClient(RedisCacheClient):
    """While Redis is down every look-up misses and every write is forgotten."""


def _forgiving(name: str, missed: Any) -> None:
    method = getattr(RedisCacheClient, name)

    def call(self: ForgivingClient, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except redis.RedisError:
            logger.warning("cache unreachable: %s", name)
            return missed(*args, **kwargs) if callable(missed) else missed

    setattr(ForgivingClient, name, call)


def _default(_key: str, default: Any = None) -> Any:
    return default


for _name, _missed in {
    "add": True,
    "get": _default,
    "set": None,
    "touch": False,
    "delete": False,
    "get_many": {},
    "has_key": False,
    "incr": 1,
    "set_many": [],
    "delete_many": None,
    "clear": False,
}.items():
    _forgiving(_name, _missed)


class ForgivingRedisCache(RedisCache):
    """Redis while it is there; an empty cache while it is not."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = ForgivingClient
