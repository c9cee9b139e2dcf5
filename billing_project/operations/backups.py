"""Backups: the whole database in one file, by PostgreSQL's own programs, and the way back.

The programs are those on PATH, or the ones that come with the embedded PostgreSQL; never of an
older major version than the server, whose data they might not know.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction
from psycopg import sql
from psycopg.conninfo import make_conninfo

from billing_project import embedded

# What a replaced database's schemas are called until the new one is in place.
ASIDE = "before_restore_"
_SYSTEM = r"^(pg_|information_schema$)"


class BackupError(Exception):
    """It cannot be done, or went wrong; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The folder of programs that fit a server."""

    folder: Path
    major: int

    def run(self, name: str, *arguments: str) -> str:
        """Run one on our database; what it says. Raises BackupError with its first errors."""
        conninfo, password = _address()
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            [str(self.folder / name), *arguments, f"--dbname={conninfo}"],
            env=os.environ | {"PGPASSWORD": password},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise BackupError(f"{name} failed: {' '.join(done.stderr.split())[:500]}")
        return done.stdout

    def contents(self, file: Path) -> str:
        """The table of contents of a backup. Raises BackupError when it is none."""
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
            [str(self.folder / "pg_restore"), "--list", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BackupError(f"{file} is not a whole backup: {' '.join(done.stderr.split())}")
        return done.stdout


def programs(*, major: int | None = None) -> Programs:
    """Those that fit our server (or that major version). Raises BackupError."""
    wanted = major or _server_major()
    found = list(_candidates())
    for one in found:
        if one.major >= wanted:
            return one
    there = ", ".join(f"{one.major} in {one.folder}" for one in found) or "none"
    raise BackupError(
        f"The server is PostgreSQL {wanted}; pg_dump and pg_restore of that version or later are"
        f" needed and not there (found: {there}). Install postgresql-client-{wanted}."
    )


def save(file: Path) -> int:
    """Write the database as it is at one moment into a new file; its size in bytes.

    Readable by its owner only: it holds keys and people's data. Nothing is left of a backup that
    failed half-way. The portal may go on running meanwhile.
    """
    if file.exists():
        raise BackupError(f"{file} is there already; it is not overwritten.")
    if not file.parent.is_dir():
        raise BackupError(f"There is no folder {file.parent}.")
    tools = programs()
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        tools.run(
            "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={partial}"
        )
        tools.contents(partial)
        _to_disk(partial)
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    return file.stat().st_size


def is_empty() -> bool:
    """Whether the database holds no table yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname !~ %s",
            [_SYSTEM],
        )
        return bool(cursor.fetchone()[0] == 0)


def others_connected() -> int:
    """How many other connections there are to the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def load(file: Path) -> None:
    """Put the backup in place of all that is in the database, or leave it as it was.

    What was there stands aside until the backup is in; if that fails it comes back. Raises
    BackupError.
    """
    tools = programs()
    tools.contents(file)
    if others_connected():
        raise BackupError("Others are connected to the database. Stop web, worker and beat first.")
    set_aside = _set_aside()
    connection.close()
    try:
        tools.run(
            "pg_restore",
            *("--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"),
            str(file),
        )
    except BaseException:
        _put_back(set_aside)
        raise
    with connection.cursor() as cursor:
        for schema in set_aside:
            cursor.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(_aside(schema)))


@transaction.atomic
def _set_aside() -> list[str]:
    """Rename every schema of ours; the names they had. An empty one of the usual name remains."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nspname::text FROM pg_namespace WHERE nspname !~ %s ORDER BY 1", [_SYSTEM]
        )
        schemas = [str(name) for (name,) in cursor.fetchall()]
        stranded = [name for name in schemas if name.startswith(ASIDE)]
        if stranded:
            raise BackupError(
                f"An earlier restore was killed: {', '.join(stranded)} hold what was there before."
                " Look at them, rename or drop them, then try again."
            )
        for name in schemas:
            rename = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
            cursor.execute(rename.format(sql.Identifier(name), _aside(name)))
        cursor.execute("CREATE SCHEMA public")
        cursor.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
    return schemas


@transaction.atomic
def _put_back(schemas: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS public CASCADE")
        for name in schemas:
            rename = sql.SQL("ALTER SCHEMA {} RENAME TO {}")
            cursor.execute(rename.format(_aside(name), sql.Identifier(name)))


def _aside(schema: str) -> sql.Identifier:
    return sql.Identifier(ASIDE + schema)


def _server_major() -> int:
    connection.ensure_connection()
    return int(connection.connection.info.server_version) // 10_000


def _candidates() -> Iterator[Programs]:
    folders = [Path(found).parent for name in ("pg_dump",) if (found := shutil.which(name))]
    with suppress(embedded.ServiceError):
        folders.append(embedded.Postgres(Path()).programs)
    for folder in folders:
        major = _major_of(folder)
        if major is not None:
            yield Programs(folder, major)


def _major_of(folder: Path) -> int | None:
    """The major version of both programs in a folder; None unless both work."""
    majors = []
    for name in ("pg_dump", "pg_restore"):
        try:
            done = subprocess.run(  # noqa: S603 - PostgreSQL's own programs
                [str(folder / name), "--version"], capture_output=True, text=True, check=False
            )
        except OSError:
            return None
        version = re.search(r"(\d+)(?:\.|devel|beta|rc|\s|$)", done.stdout)
        if done.returncode or version is None:
            return None
        majors.append(int(version[1]))
    return min(majors)


def _address() -> tuple[str, str]:
    """Where Django is connected to, and the password, which no process list may show."""
    connection.ensure_connection()
    info = connection.connection.info
    parameters = info.get_parameters()
    parameters.pop("options", None)
    return make_conninfo(**parameters), info.password or ""


def _to_disk(file: Path) -> None:
    with file.open("rb") as written:
        os.fsync(written.fileno())
