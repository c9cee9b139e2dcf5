"""``manage.py backup FILE``: the whole database in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing_project.operations import backups


class Command(BaseCommand):
    """Works on a running portal; refuses to overwrite. Exits 1 when it could not be made."""

    help = (
        "Write the whole database to a new file. Keep it secret: it holds people's data and, in"
        " djstripe_apikey, Stripe's keys."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="the file to write, which must not exist")

    def handle(self, *_: Any, file: Path, **__: Any) -> None:
        """Make it and say how large it is."""
        try:
            size = backups.save(file)
        except backups.BackupError as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"{file}: {size:,} bytes. It holds keys and people's data.")
