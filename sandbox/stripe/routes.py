"""A row of the API's table of addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from re import Pattern

from sandbox.stripe.lists import Handler
from sandbox.stripe.params import EXPAND, Fields


@dataclass(frozen=True)
class Route:
    """``path`` has ``:id`` where an id goes; ``fields`` is what Stripe knows there."""

    method: str
    path: str
    handler: Handler
    fields: Fields = field(default_factory=lambda: EXPAND)
    required: tuple[str, ...] = ()

    @property
    def pattern(self) -> Pattern[str]:
        """The addresses that this row answers."""
        return re.compile(self.path.replace(":id", "([^/]+)"))
