"""``manage.py reconcile``: read the providers' own books, do what a lost message should have."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.errors import RailUnavailable
from billing.services import rails
from billing.services.rails import Finding
from common import clock


class Command(BaseCommand):
    """Names each finding; exits 1 when something is left that could not be repaired or read."""

    help = "Compare with the providers' own books, repair what can be, and name every finding."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--hours", type=_hours, default=48, help="how far back (default 48)")

    def handle(self, *_: Any, hours: int, **__: Any) -> None:
        """Reconcile every rail that is on."""
        since = clock.now() - timedelta(hours=hours)
        wrong: list[str] = []
        for rail in rails.available():
            try:
                findings = rail.reconcile(since)
            except RailUnavailable as refusal:
                wrong.append(f"{rail.name}: {refusal}")
                continue
            for finding in findings:
                self.stdout.write(f"{rail.name}: {_line(finding)}")
            left = sum(not finding.repaired for finding in findings)
            if left:
                wrong.append(f"{rail.name}: {left} not repaired")
            if not findings:
                self.stdout.write(f"{rail.name}: nothing differs")
        if wrong:
            raise CommandError("; ".join(wrong))


def _line(finding: Finding) -> str:
    state = "repaired" if finding.repaired else "NOT REPAIRED"
    return f"{finding.kind} {finding.subject}: {finding.detail} ({state})"


def _hours(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of hours")
    return int(text)
