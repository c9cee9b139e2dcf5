"""From a webhook to a delivered order, through the portal's processes as in the Procfile."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.places import BENCH_DIR, Environment, Place
from billing_project.paths import BASE_DIR

PROCESSES = ("sandbox", "web", "worker")
START_SECONDS = 60
STOP_SECONDS = 20


def measure(place: Place, orders: int) -> dict[str, float]:
    """Have that many orders paid at the sandbox, then bring their events to the portal."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=BENCH_DIR))
        environment = _environment(place, folder)
        for name in PROCESSES:
            stack.enter_context(_running(name, environment))
        _wait_until_up(environment)
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.webhook_work", str(orders)],
            cwd=BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    found: dict[str, float] = json.loads(answer)
    return found


def _environment(place: Place, folder: str) -> Environment:
    web, sandbox = _free_ports(2)
    secret = f"whsec_{secrets.token_hex(12)}"
    return place.environment("live") | {
        "PORT": str(web),
        "PUBLIC_URL": f"http://127.0.0.1:{web}",
        "STRIPE_WEBHOOK_SECRET": secret,
        "SANDBOX_PORT": str(sandbox),
        "SANDBOX_URL": f"http://127.0.0.1:{sandbox}",
        "SANDBOX_DB": f"{folder}/sandbox.db",
        "SANDBOX_WEBHOOK_URL": f"http://127.0.0.1:{web}/api/webhooks/stripe",
        "SANDBOX_WEBHOOK_SECRET": secret,
        "PYTHONUNBUFFERED": "1",
    }


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@contextmanager
def _running(name: str, environment: Environment) -> Iterator[None]:
    """One process of the Procfile, in a group of its own; what it says is in var/bench."""
    lines = dict(line.split(": ", 1) for line in (BASE_DIR / "Procfile").read_text().splitlines())
    _python, *arguments = shlex.split(lines[name])
    with (BENCH_DIR / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_until_up(environment: Environment) -> None:
    deadline = time.monotonic() + START_SECONDS
    up = [f"{environment['SANDBOX_URL']}/_sandbox/health", f"{environment['PUBLIC_URL']}/healthz"]
    while not (all(map(_answers, up)) and b" ready." in (BENCH_DIR / "worker.log").read_bytes()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the portal did not start; see the logs in {BENCH_DIR}")
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
