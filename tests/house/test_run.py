"""``make run``: everything comes up together and goes down together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from billing_project import embedded, ports
from billing_project.paths import BASE_DIR
from tests import database, environment, live


@dataclass
class Run:
    process: subprocess.Popen[bytes]
    port: int
    sandbox_port: int
    var: Path
    log: Path

    def text(self) -> str:
        return self.log.read_text()

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + 90
        while "Ctrl-C stops it" not in self.text():
            assert self.process.poll() is None, self.text()[-4000:]
            assert time.monotonic() < deadline, self.text()[-4000:]
            time.sleep(0.1)


@pytest.fixture
def run(tmp_path: Path, own_database: str) -> Iterator[Run]:
    """A run whose Redis is embedded; its database is a clone, for migrating takes a minute."""
    live.build_assets()
    port, sandbox_port = live.free_ports(2)
    log = tmp_path / "log"
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in set(environment.documented_variables())
    } | {
        "ENV_FILE": "",
        "VAR_DIR": str(tmp_path),
        "DATABASE_URL": database.url(own_database),
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "billing_project.run"],
            cwd=BASE_DIR,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    yield Run(process, port, sandbox_port, tmp_path, log)
    if process.poll() is None:
        process.terminate()
        process.wait(60)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_comes_up_and_a_signal_stops_all_of_it(run: Run, stop: signal.Signals) -> None:
    run.wait_until_up()
    started = psutil.Process(run.process.pid).children(recursive=True)
    redis = embedded.Redis(run.var / "redis")
    with urllib.request.urlopen(f"http://127.0.0.1:{run.port}/accounts/login/") as page:
        assert page.status == 200
    assert redis.is_running()
    assert len(started) >= 5

    run.process.send_signal(stop)

    assert run.process.wait(60) == 0
    psutil.wait_procs(started, timeout=10)
    assert [process for process in started if _lives(process)] == []
    assert not redis.is_running()
    assert ports.is_free(run.port)
    assert ports.is_free(run.sandbox_port)
    assert f"The portal is up:  http://127.0.0.1:{run.port}" in run.text()


def test_when_one_process_dies_the_others_do_not_linger(run: Run) -> None:
    run.wait_until_up()
    started = psutil.Process(run.process.pid).children(recursive=True)
    sandbox = next(process for process in started if "sandbox" in process.cmdline()[1:])

    sandbox.kill()

    assert run.process.wait(60) != 0
    psutil.wait_procs(started, timeout=10)
    assert [process for process in started if _lives(process)] == []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
