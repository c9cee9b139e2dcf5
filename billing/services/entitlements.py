"""The registry of entitlements: what delivered products add to a customer's limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID

from django.core.cache import cache
from django.db import transaction

from accounts.models import Customer

# For a customer: limit name → how much the source adds (None: unlimited).
Source = Callable[[Customer], dict[str, int | None]]

_SOURCES: dict[str, Source] = {}


def register(name: str, source: Source) -> None:
    """Add a source under its name, replacing an earlier one of that name."""
    _SOURCES[name] = source


def sources() -> dict[str, Source]:
    """Every registered source by name."""
    return dict(_SOURCES)


def cache_key(customer_id: UUID) -> str:
    """Where a customer's entitlements are kept for a while."""
    return f"entitlements:{customer_id}"


def changed(customer_id: UUID) -> None:
    """Something that a customer's entitlements are made of changed: forget them after commit."""
    transaction.on_commit(partial(cache.delete, cache_key(customer_id)), robust=True)
