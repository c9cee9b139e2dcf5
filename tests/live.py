"""The portal as it runs: web, worker, beat and sandbox as processes, on a database of its own.

with live.Portal() as portal:
    requests.get(portal.url + "/billing/")
    portal.kill("worker")       # SIGKILL, children too
    portal.start("worker")
    with portal.orm():          # Django's models, on the portal's database
        assert Payment.objects.count() == 1
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psycopg
from django.conf import global_settings
from django.test import override_settings

from billing_project import sandbox_clock
from billing_project.paths import BASE_DIR
from tests import database, environment

START_SECONDS = 60
STOP_SECONDS = 20
COLLECT = (
    "from billing_project import preparing, startup; "
    "startup.check(); preparing.collect_static(lambda line: None)"
)
WEBHOOK_SECRET = "whsec_" + "live0tests" * 3

COMMANDS = {
    "web": ["-m", "billing_project.web"],
    "worker": [
        *("-m", "celery", "--quiet", "-A", "billing_project.celery", "worker"),
        *("--concurrency=2", "--without-gossip", "--without-mingle", "--loglevel=INFO"),
    ],
    "beat": [
        *("-m", "celery", "--quiet", "-A", "billing_project.celery", "beat"),
        *("--pidfile=", "--loglevel=INFO"),
    ],
    "sandbox": ["-m", "sandbox"],
}


class Portal:
    """A running portal; every argument may be left out."""

    def __init__(
        self,
        *,
        processes: tuple[str, ...] = ("sandbox", "web", "worker"),
        env: dict[str, str] | None = None,
    ) -> None:
        self.processes = processes
        self.folder = Path(tempfile.mkdtemp(prefix="portal-live-"))
        self.mail_folder = self.folder / "mail"
        self.clock_file = self.folder / "sandbox.clock"
        self.port, self.sandbox_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.sandbox_url = f"http://127.0.0.1:{self.sandbox_port}"
        self.webhook_secret = WEBHOOK_SECRET
        self.database = ""
        self.redis_url = ""
        self._more_env = env or {}
        self._env: dict[str, str] = {}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: dict[str, int] = {}

    def __enter__(self) -> Self:
        build_assets()
        with unblocked():
            self.database = database.create()
        self._redis = environment.own_redis()
        self.redis_url = self._redis.join()
        self._env = self._environment(self.redis_url)
        try:
            for name in self.processes:
                self._launch(name)
            for name in self.processes:
                self._wait_until_ready(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self._running):
            self.stop(name)
        self._redis.leave()
        database.drop(self.database)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name: str) -> None:
        """Start a process and wait until it works."""
        self._launch(name)
        self._wait_until_ready(name)

    def stop(self, name: str) -> None:
        """Ask a process to end (SIGTERM) and wait for it; insist when it takes too long."""
        process = self._running.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        _kill_group(process)

    def kill(self, name: str) -> None:
        """SIGKILL a process and its children, as a lost machine would."""
        _kill_group(self._running.pop(name))

    def stop_redis(self) -> None:
        """Take the doorbell away from all processes."""
        self._redis.stop()

    def start_redis(self) -> None:
        """Bring Redis back, empty, at the same address."""
        self._redis.start()

    def log(self, name: str) -> str:
        """All a process has said."""
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def manage(
        self, *arguments: str, check: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` on this portal, with these variables beside its own."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env=self._env | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"manage.py {arguments}: {done.stdout}{done.stderr}")
        return done

    def sandbox(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the sandbox's control API: ``portal.sandbox("GET", "/_sandbox/books")``."""
        request = urllib.request.Request(
            self.sandbox_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read() or b"null")

    @contextmanager
    def orm(self) -> Iterator[None]:
        """Point this process at the portal's database, and let its clock follow the portal's."""
        # Passwords set here must be ones that the portal's processes can check.
        hashers = override_settings(PASSWORD_HASHERS=global_settings.PASSWORD_HASHERS)
        following = sandbox_clock.following(self.clock_file)
        with unblocked(), hashers, following, database.use(self.database):
            yield

    def connect(self) -> psycopg.Connection[Any]:
        """A plain connection to the portal's database."""
        return psycopg.connect(database.url(self.database), autocommit=True)

    def mails(self) -> list[str]:
        """Every mail the portal sent, oldest first."""
        files = sorted(self.mail_folder.glob("*"), key=lambda file: file.stat().st_mtime_ns)
        return [file.read_text() for file in files]

    def _environment(self, redis_url: str) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in set(environment.documented_variables())
        }
        self.mail_folder.mkdir()
        return (
            inherited
            | {
                "ENV_FILE": "",
                "SANDBOX": "1",
                "DATABASE_URL": database.url(self.database),
                "REDIS_URL": redis_url,
                "PORT": str(self.port),
                "WEB_WORKERS": "1",
                "EMAIL_URL": f"filemail://{self.mail_folder}",
                "STRIPE_WEBHOOK_SECRET": self.webhook_secret,
                "SANDBOX_PORT": str(self.sandbox_port),
                "SANDBOX_URL": self.sandbox_url,
                "SANDBOX_DB": str(self.folder / "sandbox.db"),
                "SANDBOX_CLOCK": str(self.clock_file),
                "SANDBOX_WEBHOOK_URL": f"{self.url}/api/webhooks/stripe",
                "SANDBOX_WEBHOOK_SECRET": self.webhook_secret,
                "PYTHONUNBUFFERED": "1",
            }
            | self._more_env
        )

    def _launch(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._starts[name] = log.tell()
            self._running[name] = subprocess.Popen(
                [sys.executable, *COMMANDS[name]],
                cwd=BASE_DIR,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_until_ready(self, name: str) -> None:
        ready: dict[str, Callable[[], bool]] = {
            "web": lambda: _answers(f"{self.url}/healthz"),
            "sandbox": lambda: _answers(f"{self.sandbox_url}/_sandbox/health"),
            "worker": lambda: self._has_said("worker", " ready."),
            "beat": lambda: self._has_said("beat", "beat: Starting"),
        }
        process = self._running[name]
        deadline = time.monotonic() + START_SECONDS
        while not ready[name]():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{name} did not start:\n{self.log(name)[-4000:]}")
            time.sleep(0.05)

    def _has_said(self, name: str, text: str) -> bool:
        """Whether it said so since it was started last (a restart appends to the same log)."""
        with (self.folder / f"{name}.log").open("rb") as log:
            log.seek(self._starts[name])
            return text.encode() in log.read()


def unblocked() -> AbstractContextManager[None]:
    """Let code outside a test function (a fixture of a wider scope, say) use the database."""
    blocker: Any = environment.DB_BLOCKER
    unblocking: AbstractContextManager[None] = blocker.unblock()
    return unblocking


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def build_assets() -> None:
    """The style sheet and the collected static files, unless they are there."""
    if not (BASE_DIR / "static" / "dist" / "app.css").exists():
        subprocess.run(["make", "--silent", "assets"], cwd=BASE_DIR, check=True)
    with environment.lock("static"):
        # In a process of its own: the tests' settings collect without a manifest.
        subprocess.run([sys.executable, "-c", COLLECT], cwd=BASE_DIR, check=True)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except (OSError, http.client.HTTPException):
        return False


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
