"""The environment the tests run in: services of their own, nothing from the developer's shell."""

from __future__ import annotations

import atexit
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from billing_project import embedded
from billing_project.messages import catalogues
from billing_project.paths import BASE_DIR, VAR_DIR

TEST_DIR = VAR_DIR / "test"

# pytest-django's guard of the database, put here by conftest for what runs outside test functions.
DB_BLOCKER: Any = None

# Nothing listens there: a test that wants the sandbox starts one (tests/live.py).
NO_SANDBOX = "http://127.0.0.1:9"
# Nor is its clock: time here is the wall's, whatever a portal that runs beside the tests says.
NO_CLOCK = TEST_DIR / "no-sandbox.clock"


@cache
def cluster() -> embedded.Postgres:
    """The tests' own PostgreSQL: shared by all test runs in this checkout, without fsync."""
    return embedded.Postgres(TEST_DIR / "postgres", fsync=False)


def own_redis() -> embedded.Redis:
    """A Redis for one process, gone with it."""
    folder = Path(tempfile.mkdtemp(prefix="portal-redis-"))
    service = embedded.Redis(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # runs after the service stopped
    return service


@contextmanager
def lock(name: str, *, shared: bool = False) -> Iterator[None]:
    """Keep other test runs in this checkout out of something."""
    TEST_DIR.mkdir(parents=True, exist_ok=True)
    with (TEST_DIR / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


def documented_variables() -> list[str]:
    """The names in .env.example."""
    text = (BASE_DIR / ".env.example").read_text()
    return re.findall(r"^#?\s?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)


def prepare() -> None:
    """Start the services and set what the settings read; forget what a developer has set."""
    catalogues.compile_all(BASE_DIR)  # make does, too; who calls pytest from a clone has none
    for name in documented_variables():
        os.environ.pop(name, None)
    os.environ |= {
        "ENV_FILE": "",
        "SANDBOX": "1",
        "SANDBOX_URL": NO_SANDBOX,
        "SANDBOX_CLOCK": str(NO_CLOCK),
        "EMAIL_URL": "memorymail://",
        "DATABASE_URL": cluster().join(),
        "REDIS_URL": own_redis().join(),
        "DJANGO_SETTINGS_MODULE": "billing_project.settings",
    }
