"""A backup is the whole database, restored in place of nothing, of all there is, or not at all."""

from __future__ import annotations

import io
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from billing import ledger
from billing.models import LedgerAccount
from billing.selectors import audit
from billing.services import refunds
from billing_project.operations import backups
from tests import database
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW, make_customer, make_order, make_payment, make_wallet
from tests.house.processes import run
from tests.security import fingerprint


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    fake = FakeRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def books(own_database: str) -> str:
    """A database with orders, payments, a refund and spent credits."""
    customer = make_customer(email="payer@example.com")
    payments = [make_payment(make_order(customer=customer)) for _ in range(3)]
    make_order(customer=customer)
    refunds.send(refunds.request(payments[0].pk, reason="asked").pk)
    wallet = LedgerAccount.objects.get(owner=customer, role="wallet")
    ledger.spend(wallet, 1_000_000, code="usage", key="first", occurred_at=NOW)
    assert audit.differences() == []
    return own_database


@pytest.fixture
def file(books: str, tmp_path: Path) -> Path:
    """A backup of the books."""
    written = tmp_path / "portal.backup"
    _call("backup", written)
    return written


@pytest.fixture
def empty(django_db_blocker: object) -> Iterator[str]:
    """A new database with nothing in it."""
    name = f"test_{os.getpid()}_{secrets.token_hex(3)}"
    with psycopg.connect(database.url("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield name
    finally:
        database.drop(name)


def _call(command: str, *arguments: object, **options: object) -> str:
    out = io.StringIO()
    call_command(command, *map(str, arguments), stdout=out, stderr=out, **options)
    return out.getvalue()


def test_what_was_saved_is_restored_into_a_new_database(file: Path, empty: str) -> None:
    rows = fingerprint.take()

    with database.use(empty):
        said = _call("restore", file)

        lost, new = fingerprint.changes(rows, fingerprint.take())
        assert [(name, row) for name, row in lost + new if name != "operations_reading"] == []
        assert audit.differences() == []
    assert "Migrations: all applied." in said
    assert "Ledger functions: those of this version." in said
    assert re.search(r"The books add up: \d+ transfers, 3 payments.", said)


def test_the_restored_ledger_works_and_guards_itself(file: Path, empty: str) -> None:
    with database.use(empty):
        _call("restore", file)
        wallet = LedgerAccount.objects.get(owner__email="payer@example.com", role="wallet")

        first = ledger.spend(wallet, 1_000_000, code="usage", key="first", occurred_at=NOW)
        second = ledger.spend(wallet, 1_000_000, code="usage", key="second", occurred_at=NOW)
        make_payment(make_order(customer=wallet.owner))

        assert first.pk != second.pk
        assert audit.differences() == []
        with pytest.raises(DatabaseError, match="ledger"), connection.cursor() as cursor:
            cursor.execute("UPDATE billing_transfer SET amount_minor = 1")


def test_a_restored_database_can_be_saved_and_restored_again(
    file: Path, empty: str, tmp_path: Path
) -> None:
    with database.use(empty):
        _call("restore", file)
        again = tmp_path / "again.backup"
        _call("backup", again)
        rows = fingerprint.take()

        _call("restore", again, replace=True, confirm=empty)

        lost, new = fingerprint.changes(rows, fingerprint.take())
        assert {name for name, _ in lost + new} <= {"operations_reading"}


def test_a_full_database_is_replaced_only_when_told_twice(
    file: Path, books: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = fingerprint.take()
    make_payment()
    later = fingerprint.take()

    with pytest.raises(CommandError, match="is not empty"):
        _call("restore", file)
    with pytest.raises(CommandError, match="not its name"):
        _call("restore", file, replace=True, confirm="portal")
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="not its name"):
        _call("restore", file, replace=True)
    assert fingerprint.changes(later, fingerprint.take()) == ([], [])

    monkeypatch.setattr("builtins.input", lambda _: books)
    said = _call("restore", file, replace=True)

    assert f"Everything in the database '{books}' will be replaced." in said
    lost, new = fingerprint.changes(rows, fingerprint.take())
    assert {name for name, _ in lost + new} <= {"operations_reading"}
    assert _schemas() == {"public", "baseline"}


def test_a_backup_that_breaks_half_way_leaves_everything_as_it_was(file: Path, books: str) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-2000])  # its table of contents is whole, its data are not
    make_payment()
    rows = fingerprint.take()

    with pytest.raises(CommandError, match="pg_restore failed"):
        _call("restore", file, replace=True, confirm=books)

    assert fingerprint.changes(rows, fingerprint.take()) == ([], [])
    assert _schemas() == {"public", "baseline"}
    make_wallet(credits_minor=1)


def test_what_is_no_backup_is_refused(tmp_path: Path, books: str) -> None:
    other = tmp_path / "other"
    other.write_text("SELECT 1;")

    with pytest.raises(CommandError, match="not a whole backup"):
        _call("restore", other, replace=True, confirm=books)
    with pytest.raises(CommandError, match="There is no file"):
        _call("restore", tmp_path / "none")


def test_nothing_is_restored_under_a_running_portal(file: Path, books: str) -> None:
    with psycopg.connect(database.url(books)), pytest.raises(CommandError, match="Stop web"):
        _call("restore", file, replace=True, confirm=books)


def test_an_older_backup_asks_for_its_migrations(books: str, empty: str, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'operations'")
    older = tmp_path / "older"
    _call("backup", older)

    with database.use(empty), pytest.raises(CommandError, match="1 migrations are missing"):
        _call("restore", older)


def test_books_that_do_not_add_up_are_named(books: str, empty: str, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE billing_ledgeraccount SET balance_minor = balance_minor + 1"
            " WHERE role = 'wallet'"
        )
    damaged = tmp_path / "damaged"
    _call("backup", damaged)

    with database.use(empty), pytest.raises(CommandError, match="The books do not add up"):
        _call("restore", damaged)


def test_a_backup_is_its_owners_alone_and_never_overwritten(file: Path) -> None:
    content = file.read_bytes()

    with pytest.raises(CommandError, match="is there already"):
        _call("backup", file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() == content
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_nothing_is_left_of_a_backup_that_failed(books: str, tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        # Whoever may not read everything cannot save everything.
        cursor.execute(f"CREATE ROLE {books} LOGIN")
        cursor.execute(f"GRANT SELECT ON django_migrations TO {books}")
    before = connection.settings_dict["USER"]
    connection.close()
    connection.settings_dict["USER"] = books
    try:
        with pytest.raises(CommandError, match=r"pg_dump failed: .*permission denied"):
            _call("backup", tmp_path / "file")
    finally:
        connection.close()
        connection.settings_dict["USER"] = before
        with connection.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {books}; DROP ROLE {books}")

    assert list(tmp_path.iterdir()) == []


def test_programs_older_than_the_server_are_refused_by_version() -> None:
    with pytest.raises(backups.BackupError, match=r"PostgreSQL 99; .* postgresql-client-99"):
        backups.programs(major=99)


def test_programs_are_as_new_as_the_server(books: str) -> None:
    found = backups.programs()

    assert found.major >= connection.connection.info.server_version // 10_000
    assert backups.programs(major=9).major >= 9


def test_the_command_line_answers_in_one_line(tmp_path: Path) -> None:
    done = run("manage.py", "restore", str(tmp_path / "none"), SANDBOX="1")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"CommandError: There is no file {tmp_path / 'none'}."]


def _schemas() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_)'")
        return {name for (name,) in cursor.fetchall()}
