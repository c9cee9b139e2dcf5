"""The embedded services: one server however many ask, data kept, nothing left running."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from billing_project import embedded
from billing_project.paths import BASE_DIR

USER = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    os.environ.pop("DATABASE_URL", None); os.environ.pop("REDIS_URL", None)
    from billing_project import embedded
    embedded.provide(Path(sys.argv[1]))
    print(os.environ["DATABASE_URL"], os.environ["REDIS_URL"], flush=True)
    sys.stdin.readline()
""")


@pytest.fixture
def var(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for service in _services(tmp_path):
        if service.is_running():
            service.stop()


def test_processes_that_ask_at_once_share_one_server_and_the_last_stops_it(var: Path) -> None:
    users = [_user(var) for _ in range(4)]
    addresses = {user.stdout.readline() for user in users if user.stdout}
    assert len(addresses) == 1

    for user in users[:3]:
        user.communicate("\n")
    assert all(service.is_running() for service in _services(var))

    users[3].communicate("\n")
    assert not any(service.is_running() for service in _services(var))


def test_data_outlives_the_server_and_fsync_is_on(var: Path) -> None:
    first = embedded.Postgres(var / "postgres")
    with psycopg.connect(first.join(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    first.leave()
    assert not first.is_running()

    second = embedded.Postgres(var / "postgres")
    with psycopg.connect(second.join()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    second.leave()


def test_a_killed_user_keeps_nobody_from_stopping_the_server(var: Path) -> None:
    killed, last = _user(var), _user(var)
    for user in (killed, last):
        assert user.stdout
        user.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    last.communicate("\n")

    assert not any(service.is_running() for service in _services(var))


def test_a_server_that_was_killed_is_started_again_with_its_data(var: Path) -> None:
    service = embedded.Postgres(var / "postgres")
    with psycopg.connect(service.join(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    pid = int((service.data / "postmaster.pid").read_text().split("\n", 1)[0])
    subprocess.run(["kill", "-9", str(pid)], check=True)
    service.wait(lambda: not service.is_running())

    with psycopg.connect(service.join()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    service.leave()


def test_an_interrupted_first_start_is_made_good(var: Path) -> None:
    service = embedded.Postgres(var / "postgres")
    service.data.mkdir(parents=True)
    (service.data / "half").write_text("an initdb that was stopped")

    with psycopg.connect(service.join()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    service.leave()


def test_what_is_set_is_left_alone(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://elsewhere/portal")
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379/0")

    embedded.provide(var)

    assert list(var.iterdir()) == []


def _services(var: Path) -> list[embedded.Service]:
    return [embedded.Postgres(var / "postgres"), embedded.Redis(var / "redis")]


def _user(var: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(var)],
        cwd=BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
