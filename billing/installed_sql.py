"""The ledger's SQL functions and triggers: installed after each migrate, known by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.db import connections, transaction

SQL_DIR = Path(__file__).parent / "sql"

# Any function would do; this one cannot be missing.
_HASH_ON = "ledger_refuse_write()"

# Triggers stand on that one; it is replaced in place.
_DROP_FUNCTIONS = """
DO $$
DECLARE
    old regprocedure;
BEGIN
    FOR old IN SELECT oid FROM pg_proc
        WHERE starts_with(proname, 'ledger_') AND proname <> 'ledger_refuse_write'
          AND pronamespace = current_schema()::regnamespace
    LOOP
        EXECUTE 'DROP FUNCTION ' || old;
    END LOOP;
END $$
"""


def expected_hash() -> str:
    """SHA-256 over the names and texts of ``billing/sql/*.sql``."""
    digest = hashlib.sha256()
    for path in _files():
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def installed_hash(using: str = "default") -> str | None:
    """The hash the database was given when its functions were installed; None without any."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regprocedure(%s), 'pg_proc')", [_HASH_ON])
        (found,) = cursor.fetchone()
    return found if found is None else str(found)


def install(using: str = "default") -> None:
    """Put every function and trigger in place, all or none, and note their hash.

    Functions whose arguments changed go first: an old twin would make calls ambiguous.
    """
    with transaction.atomic(using), connections[using].cursor() as cursor:
        cursor.execute(_DROP_FUNCTIONS)
        for path in _files():
            cursor.execute(path.read_text())
        cursor.execute(f"COMMENT ON FUNCTION {_HASH_ON} IS '{expected_hash()}'")


def install_after_migrate(*, using: str, **_: Any) -> None:
    """Install unless the database already has exactly these functions."""
    if "billing_transfer" not in connections[using].introspection.table_names():
        return  # migrated back to nothing, or not there yet
    if installed_hash(using) != expected_hash():
        install(using)


def _files() -> list[Path]:
    return sorted(SQL_DIR.glob("*.sql"))
