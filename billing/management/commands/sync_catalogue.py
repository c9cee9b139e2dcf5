"""``manage.py sync_catalogue``: mirror what is sold to every provider that keeps a catalogue."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.errors import RailUnavailable
from billing.services import rails


class Command(BaseCommand):
    """Idempotent; exits 1 when a provider cannot be reached, after the others had their turn."""

    help = "Mirror the catalogue to the payment providers and say what was changed."

    def handle(self, *_: Any, **__: Any) -> None:
        """Sync every rail that is on."""
        unreachable: list[str] = []
        for rail in rails.available():
            try:
                changes = rail.sync_catalogue()
            except RailUnavailable as refusal:
                unreachable.append(f"{rail.name}: {refusal}")
                continue
            for change in changes or ["up to date"]:
                self.stdout.write(f"{rail.name}: {change}")
        if unreachable:
            raise CommandError("; ".join(unreachable))
