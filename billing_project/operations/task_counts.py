"""How tasks ended, counted in Redis: workers may be many and on other machines than web.

Redis may forget; a counter that begins again is something that Prometheus understands.
"""

from __future__ import annotations

import logging

import redis

from billing_project.operations import redis_health

logger = logging.getLogger(__name__)

KEY = "portal:task_counts"
OUTCOMES = ("succeeded", "failed", "retried")


def count(task: str, outcome: str) -> None:
    """Add one; quietly nothing while Redis is down."""
    try:
        redis_health.client().hincrby(KEY, f"{task}|{outcome}", 1)
    except (redis.RedisError, OSError):
        logger.debug("task not counted", extra={"task": task})


def totals() -> dict[tuple[str, str], int]:
    """Task and outcome → how often; empty while Redis is down."""
    try:
        found: dict[bytes, bytes] = redis_health.client().hgetall(KEY)  # type: ignore[assignment]
    except (redis.RedisError, OSError):
        return {}
    counted = {}
    for name, value in found.items():
        task, _, outcome = name.decode().rpartition("|")
        counted[task, outcome] = int(value)
    return counted
