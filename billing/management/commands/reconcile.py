"""``manage.py reconcile``: read the providers' own books, do what a lost message should have."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.models import ItemState, ReconciliationItem, ReconciliationRun, RunOutcome
from billing.models.reconciliation import OPEN
from billing.services import rails, reconciliations
from common import clock
from common.errors import Conflict

TELL_EVERY = 1000


class Command(BaseCommand):
    """Names each difference; exits 1 when one is left, or when it could not be looked for."""

    help = (
        "Compare with the providers' own books, repair what is safe, and name every difference. "
        "The run is kept, and can be looked at and gone on with in the admin."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=_hours, default=48, help="how far back (default 48)")
        parser.add_argument("--dry-run", action="store_true", help="only name, repair nothing")

    def handle(self, *_: Any, hours: int, dry_run: bool, **__: Any) -> None:
        """Reconcile every rail that is on."""
        since = clock.now() - timedelta(hours=hours)
        wrong: list[str] = []
        for rail in rails.available():
            told = 0

            def tell(compared: int, name: str = rail.name) -> None:
                nonlocal told
                if compared // TELL_EVERY > told:
                    told = compared // TELL_EVERY
                    self.stdout.write(f"{name}: {compared:,} compared")
                    self.stdout.flush()

            try:
                run = reconciliations.run(
                    rail.name, since, repair="none" if dry_run else "safe", tell=tell
                )
            except Conflict as refusal:
                wrong.append(f"{rail.name}: {refusal}")
                continue
            self._show(run)
            wrong += _wrong(run)
        if wrong:
            raise CommandError("; ".join(wrong))

    def _show(self, run: ReconciliationRun) -> None:
        for item in run.items.exclude(state=ItemState.GONE).order_by("pk").iterator():
            self.stdout.write(f"{run.rail}: {_line(item)}")
        if run.outcome == RunOutcome.CLEAN:
            self.stdout.write(f"{run.rail}: nothing differs")


def _wrong(run: ReconciliationRun) -> list[str]:
    """Why the command fails, if it does."""
    if run.outcome in (RunOutcome.UNREACHABLE, RunOutcome.FAILED):
        return [f"{run.rail}: {run.note}"]
    return [f"{run.rail}: {run.left_count} not repaired"] if run.left_count else []


def _line(item: ReconciliationItem) -> str:
    told = f"{item.kind} {item.subject}: {item.detail}"
    sides = [f"ours {item.ours}"] * bool(item.ours) + [f"theirs {item.theirs}"] * bool(item.theirs)
    state = "NOT REPAIRED" if item.state in OPEN else "repaired"
    note = f": {item.note}" if item.note and item.state in OPEN else ""
    return f"{told} {', '.join(sides)} ({state}{note})".replace("  ", " ")


def _hours(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of hours")
    return int(text)
