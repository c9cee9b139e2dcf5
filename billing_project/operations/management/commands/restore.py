"""``manage.py restore FILE``: a backup in place of the database, checked afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from billing import installed_sql
from billing.models import Payment, Transfer
from billing.selectors import audit
from billing_project.operations import backups, readiness, readings

SHOWN = 20


class Command(BaseCommand):
    """Refuses a database that is not empty unless told twice; exits 1 when a check fails."""

    help = "Restore a backup into this database and check that its books are right."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="what manage.py backup wrote")
        parser.add_argument(
            "--replace", action="store_true", help="into a database that is not empty"
        )
        parser.add_argument(
            "--confirm", metavar="NAME", help="the database's name, instead of typing it"
        )

    def handle(
        self, *_: Any, file: Path, replace: bool, confirm: str | None = None, **__: Any
    ) -> None:
        """Restore, then look at what was restored."""
        if not file.is_file():
            raise CommandError(f"There is no file {file}.")
        try:
            self._require_consent(replace=replace, confirm=confirm)
            backups.load(file)
        except backups.BackupError as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"{file} is restored.")
        self._check()

    def _require_consent(self, *, replace: bool, confirm: str | None) -> None:
        if backups.is_empty():
            return
        name = str(connection.settings_dict["NAME"])
        if not replace:
            raise CommandError(
                f"The database {name!r} is not empty. Restore into a new one, or say --replace."
            )
        if confirm is None:
            self.stdout.write(f"Everything in the database {name!r} will be replaced.")
            self.stdout.flush()
            try:
                confirm = input("Type its name to go on: ").strip()
            except EOFError:
                confirm = ""
        if confirm != name:
            raise CommandError("That is not its name. Nothing was changed.")

    def _check(self) -> None:
        missing = readiness.missing_migrations()
        if missing:
            raise CommandError(
                f"The backup is of an older version: {missing} migrations are missing. Run"
                " manage.py migrate, then manage.py check_ledger."
            )
        self.stdout.write("Migrations: all applied.")
        if installed_sql.installed_hash() != installed_sql.expected_hash():
            raise CommandError(
                "The ledger's SQL functions are of another version. Run manage.py migrate, then"
                " manage.py check_ledger."
            )
        self.stdout.write("Ledger functions: those of this version.")
        found = audit.differences()
        readings.note(readings.LEDGER, len(found))
        for difference in found[:SHOWN]:
            self.stderr.write(str(difference))
        if found:
            raise CommandError(f"The books do not add up: {len(found)} differences.")
        self.stdout.write(
            f"The books add up: {Transfer.objects.count():,} transfers,"
            f" {Payment.objects.count():,} payments. Now run manage.py reconcile, which takes in"
            " what happened at the providers since the backup."
        )
