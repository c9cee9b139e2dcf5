"""What must be in place before the portal starts: tables and static files."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from billing_project.paths import BASE_DIR, VAR_DIR

Say = Callable[[str], None]
TICK_SECONDS = 2


def migrate(say: Say) -> None:
    """Apply what is missing, showing each migration and that the slow ones are alive."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    from billing import installed_sql

    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not missing:
        installed_sql.install_after_migrate(using="default")
        return
    say(f"Preparing the database: {len(missing)} migrations to apply")
    if any(migration.app_label == "djstripe" for migration, _ in missing):
        say("dj-stripe's take about 40 seconds on a new database")
    with _ticking() as out:
        call_command("migrate", verbosity=1, interactive=False, stdout=out)


def collect_static(say: Say) -> None:
    """Collect the static files for the web server, unless what is there is up to date."""
    from django.conf import settings
    from django.core.management import call_command

    manifest = settings.STATIC_ROOT / "staticfiles.json"
    sources = [
        *(BASE_DIR / "static" / "dist").rglob("*"),
        BASE_DIR / "requirements.txt",
        *(file for file in BASE_DIR.glob("*/static/**/*") if VAR_DIR not in file.parents),
    ]
    newest = max((file.stat().st_mtime for file in sources if file.is_file()), default=0)
    if manifest.exists() and manifest.stat().st_mtime > newest:
        return
    say("Collecting static files")
    call_command("collectstatic", interactive=False, verbosity=0, stdout=io.StringIO())


class _Ticker(io.TextIOBase):
    """Passes text on, and adds a dot now and then while a line stays unfinished."""

    def __init__(self) -> None:
        self._is_open = False
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def write(self, text: str) -> int:
        """Pass the text on at once."""
        with self._lock:
            sys.stdout.write(text)
            sys.stdout.flush()
            self._is_open = not text.endswith("\n")
            self._last = time.monotonic()
        return len(text)

    def tick(self) -> None:
        """Add the dot if it is time for one."""
        with self._lock:
            if self._is_open and time.monotonic() - self._last >= TICK_SECONDS:
                sys.stdout.write(".")
                sys.stdout.flush()
                self._last = time.monotonic()


@contextmanager
def _ticking() -> Iterator[_Ticker]:
    ticker = _Ticker()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(0.5):
            ticker.tick()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield ticker
    finally:
        done.set()
        thread.join()
