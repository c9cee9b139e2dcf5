"""Where the benchmark runs: a PostgreSQL of its own with fsync on, databases of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psycopg
from psycopg import sql

from billing_project import embedded
from billing_project.paths import BASE_DIR, VAR_DIR

BENCH_DIR = VAR_DIR / "bench"
SQL_DIR = Path(__file__).parent / "sql"

Environment = dict[str, str]


class Place:
    """One run's databases: a migrated portal and an empty one, dropped when the run is over."""

    def __init__(self) -> None:
        self.postgres = embedded.Postgres(BENCH_DIR / "postgres")
        self.redis = embedded.Redis(BENCH_DIR / "redis")
        self.names = {kind: f"bench_{os.getpid()}_{kind}" for kind in ("portal", "live", "other")}

    def url(self, kind: str) -> str:
        """The address of the database of that kind."""
        return self.postgres.address(self.names[kind])

    def environment(self, kind: str = "portal") -> Environment:
        """What the portal's processes read: nothing of what a developer has set."""
        kept = {name: value for name, value in os.environ.items() if name not in _documented()}
        return kept | {
            "ENV_FILE": "",
            "SANDBOX": "1",
            "EMAIL_URL": "memorymail://",
            "DATABASE_URL": self.url(kind),
            "REDIS_URL": self.redis_url,
        }

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Start the services, make the databases, and drop them at the end."""
        self.postgres.join()
        self.redis_url = self.redis.join()
        try:
            self._remove_leftovers()
            template = self._template()
            for kind in ("portal", "live"):
                self._create(self.names[kind], template)
            self._create(self.names["other"], "template0")
            with psycopg.connect(self.url("portal"), autocommit=True) as connection:
                connection.execute((SQL_DIR / "minimal.sql").read_bytes())
            yield
        finally:
            for name in self.names.values():
                self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def version(self) -> str:
        """PostgreSQL's own, e.g. 18.4."""
        with psycopg.connect(self.postgres.address()) as connection:
            return str(connection.execute("SHOW server_version").fetchall()[0][0])

    def _template(self) -> str:
        """A migrated database, kept for the next run and named by what made it."""
        name = f"migrated_{_hash()}"
        if name in self._databases():
            return name
        for old in self._databases():
            if old.startswith("migrated_"):
                self._execute("DROP DATABASE {}", old)
        print("Migrating a database (about 45 s, once) …", flush=True)
        self._create(self.names["portal"], "template0")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"],
            cwd=BASE_DIR,
            env=self.environment("portal"),
            check=True,
        )
        self._execute("ALTER DATABASE {} RENAME TO {}", self.names["portal"], name)
        return name

    def _remove_leftovers(self) -> None:
        for name in self._databases():
            owner = re.match(r"bench_(\d+)_", name)
            if owner and not Path(f"/proc/{owner[1]}").exists():
                self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _create(self, name: str, template: str) -> None:
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self._execute("CREATE DATABASE {} TEMPLATE {}", name, template)

    def _databases(self) -> list[str]:
        with psycopg.connect(self.postgres.address()) as connection:
            return [name for (name,) in connection.execute("SELECT datname FROM pg_database")]

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.postgres.address(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def sync_microseconds(times: int = 500) -> list[float]:
    """How long this disk takes to keep 8 kB (write and fdatasync), once per time."""
    file = BENCH_DIR / "sync.tmp"
    page = bytes(8192)
    found = []
    with file.open("wb", buffering=0) as disk:
        disk.write(page)
        os.fsync(disk.fileno())
        for _ in range(times):
            start = time.perf_counter()
            disk.seek(0)
            disk.write(page)
            os.fdatasync(disk.fileno())
            found.append((time.perf_counter() - start) * 1_000_000)
    file.unlink()
    return found


def _hash() -> str:
    digest = sha256()
    made_of = [*BASE_DIR.glob("*/migrations/*.py"), *BASE_DIR.glob("billing/sql/*.sql")]
    for file in [*sorted(made_of), BASE_DIR / "requirements.txt"]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _documented() -> set[str]:
    text = (BASE_DIR / ".env.example").read_text()
    return set(re.findall(r"^#?\s?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
