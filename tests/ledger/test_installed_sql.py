"""The functions in the database are those of the files; a database that is behind is told so."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from billing import checks, installed_sql
from billing_project import preparing, startup


@pytest.fixture
def changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the SQL files, one of them changed since they were installed."""
    for file in installed_sql.SQL_DIR.glob("*.sql"):
        (tmp_path / file.name).write_text(file.read_text())
    changed = tmp_path / "00_guards.sql"
    text = changed.read_text()
    assert "is refused: only" in text
    changed.write_text(text.replace("is refused: only", "is quite refused: only"))
    monkeypatch.setattr(installed_sql, "SQL_DIR", tmp_path)
    return changed


def refusal() -> str:
    """How the guard words it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'ledger_refuse_write'")
        return str(cursor.fetchone()[0])


@pytest.mark.django_db
def test_a_migrated_database_is_current() -> None:
    assert installed_sql.installed_hash() == installed_sql.expected_hash()
    assert checks.ledger_functions_are_installed(databases=["default"]) == []


def test_migrate_installs_a_changed_file(own_database: str, changed_file: Path) -> None:
    call_command("migrate", verbosity=0)

    assert "is quite refused" in refusal()
    assert installed_sql.installed_hash() == installed_sql.expected_hash()


def test_so_does_a_start_that_has_nothing_to_migrate(own_database: str, changed_file: Path) -> None:
    preparing.migrate(lambda line: None)

    assert "is quite refused" in refusal()


def test_a_function_whose_arguments_changed_leaves_no_twin(own_database: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE FUNCTION ledger_release(p_hold uuid) RETURNS int RETURN 1")

        installed_sql.install()

        cursor.execute("SELECT count(*) FROM pg_proc WHERE proname = 'ledger_release'")
        assert cursor.fetchone() == (1,)


@pytest.mark.django_db
def test_a_process_that_serves_does_not_start_on_old_functions(
    changed_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        startup.check(startup.SERVING_TAG)

    line = str(ended.value.code)
    assert line.endswith("are not those of this code: run manage.py migrate.")
    assert "\n" not in line


@pytest.mark.django_db
def test_other_commands_run_so_that_migrate_can(changed_file: Path) -> None:
    startup.check()

    (warning,) = checks.ledger_functions_are_installed(databases=["default"])
    assert not warning.is_serious()
