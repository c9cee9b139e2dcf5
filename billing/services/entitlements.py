"""The registry of entitlements: what delivered products add to a customer's limits."""

from __future__ import annotations

from collections.abc import Callable

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
