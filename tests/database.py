"""Test databases: clones of a template that is migrated once, kept under ``var/test``.

Two templates, so that work on our own apps does not pay for dj-stripe's migrations (40 s): the
first holds the apps of other people and those of ours they need, the second all of it. Each is
named by the hash of what made it.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from django.apps import AppConfig, apps
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql

from billing_project.paths import BASE_DIR
from tests.environment import TEST_DIR, cluster, lock

# Apps of ours that apps of other people point at (DJSTRIPE_SUBSCRIBER_MODEL).
FOUNDATION = {"common", "accounts"}
TEMPLATES_KEPT = 6


def url(name: str) -> str:
    """The address of one database of the tests' cluster."""
    return cluster().address(name)


def create() -> str:
    """A new database like a freshly migrated one; its name. Takes a fraction of a second."""
    name = f"test_{os.getpid()}_{secrets.token_hex(3)}"
    with lock("templates", shared=True), _admin() as admin:
        _copy(admin, full_template(), name)
    return name


def drop(name: str) -> None:
    """Remove a database, whoever is still connected."""
    with _admin() as admin:
        _execute(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@contextmanager
def use(name: str) -> Iterator[None]:
    """Point Django's connection at another database for the length of the block."""
    before = connection.settings_dict["NAME"]
    connections.close_all()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connections.close_all()
        connection.settings_dict["NAME"] = before


def restore() -> None:
    """Bring every table back to what the migrations left in it, ledger tables too.

    Instead of TRUNCATE, which the ledger refuses: rows are few, and deleting them is quicker.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20s'")
        cursor.execute("CALL baseline.restore()")
        cursor.execute("RESET lock_timeout")


def full_template() -> str:
    """The name of the template with every migration applied, made if it is not there."""
    name = f"template_full_{_hash(list(apps.get_app_configs()), sql_files=True)}"
    with _admin() as admin:
        if not _exists(admin, name):
            with lock("build"):
                if not _exists(admin, name):
                    _remove_leftovers(admin)
                    _build(admin, base_template(admin), name, [])
    (TEST_DIR / name).touch()
    return name


def base_template(admin: psycopg.Connection[Any]) -> str:
    """The name of the template with the slow migrations, made if it is not there."""
    foundation = [
        config
        for config in apps.get_app_configs()
        if not _is_ours(config) or config.label in FOUNDATION
    ]
    name = f"template_base_{_hash(foundation)}"
    if not _exists(admin, name):
        _say("Making the test database template; dj-stripe's migrations take about 40 s, once.")
        _build(admin, "template0", name, [config.label for config in foundation])
    (TEST_DIR / name).touch()
    return name


def _build(admin: psycopg.Connection[Any], source: str, name: str, labels: list[str]) -> None:
    """Migrate a copy of ``source`` under a working name, then give it its own."""
    working = f"test_{os.getpid()}_building"
    _execute(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", working)
    _copy(admin, source, working)
    with use(working):
        if labels:
            _migrate_only(labels)
        else:
            _say("Applying migrations to the test database template.")
            call_command("migrate", verbosity=0)
            with connection.cursor() as cursor:
                cursor.execute(Path(__file__).with_name("baseline.sql").read_text())
    _execute(admin, "ALTER DATABASE {} RENAME TO {}", working, name)


def _migrate_only(labels: list[str]) -> None:
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    leaves = [node for node in executor.loader.graph.leaf_nodes() if node[0] in labels]
    executor.migrate(leaves)


def _hash(configs: list[AppConfig], *, sql_files: bool = False) -> str:
    digest = sha256()
    for config in sorted(configs, key=lambda config: config.label):
        folder = Path(config.path)
        files = sorted((folder / "migrations").rglob("*.py"))
        if sql_files and _is_ours(config):
            files += [*sorted((folder / "sql").glob("*.sql")), *folder.glob("installed_sql.py")]
        for file in files:
            digest.update(f"{config.label}/{file.name}\n".encode())
            digest.update(file.read_bytes())
    digest.update(Path(__file__).with_name("baseline.sql").read_bytes() if sql_files else b"")
    return digest.hexdigest()[:16]


def _is_ours(config: AppConfig) -> bool:
    return Path(config.path).parent == BASE_DIR


def _remove_leftovers(admin: psycopg.Connection[Any]) -> None:
    """Drop databases of test runs that were killed, and templates nobody used lately."""
    rows = admin.execute("SELECT datname FROM pg_database").fetchall()
    names = [name for (name,) in rows]
    for name in names:
        if name.startswith("test_") and not Path(f"/proc/{name.split('_')[1]}").exists():
            _execute(admin, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    templates = [TEST_DIR / name for name in names if name.startswith("template_full_")]
    templates.sort(key=lambda file: file.stat().st_mtime if file.exists() else 0, reverse=True)
    for file in templates[TEMPLATES_KEPT:]:
        _execute(admin, "DROP DATABASE IF EXISTS {}", file.name)
        file.unlink(missing_ok=True)


def _copy(admin: psycopg.Connection[Any], source: str, name: str) -> None:
    _execute(admin, "CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log", name, source)


def _exists(admin: psycopg.Connection[Any], name: str) -> bool:
    found = admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
    return found is not None


def _execute(admin: psycopg.Connection[Any], statement: str, *names: str) -> None:
    admin.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def _admin() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(cluster().address(), autocommit=True) as admin:
        yield admin


def _say(line: str) -> None:
    print(line, file=sys.__stderr__, flush=True)
