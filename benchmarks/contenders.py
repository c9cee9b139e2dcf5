"""Those who are measured: each does its act for a given time and says how often per second."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from benchmarks.places import BENCH_DIR, SQL_DIR, Environment, Place
from billing_project.paths import BASE_DIR

HOT_CLIENTS = 8
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class Contender(Protocol):
    """Something whose speed is measured."""

    def rate(self, seconds: int, *, commit: str = "on") -> float:
        """Acts per second, measured now for so long; ``commit`` is synchronous_commit."""


class Workers:
    """Processes that stay, each with its connection, and all begin at the same moment."""

    def __init__(self, command: list[str], environment: Environment, count: int = 1) -> None:
        self._processes = [
            subprocess.Popen(
                command,
                cwd=BASE_DIR,
                env=environment,
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for _ in range(count)
        ]
        for process in self._processes:
            self._answer(process, "ready")

    def doing(self, act: str) -> Contender:
        """These processes as a contender in one of the acts they know."""
        return _Doing(self, act)

    def rate(self, act: str, seconds: int, commit: str) -> float:
        """What all of them did together, per second."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{act} {seconds} {commit}\n")
            process.stdin.flush()
        answers = [json.loads(self._answer(process)) for process in self._processes]
        return sum(float(answer["done"] / answer["seconds"]) for answer in answers)

    def close(self) -> None:
        """Let them end by closing what they read from."""
        for process in self._processes:
            process.communicate()

    def _answer(self, process: subprocess.Popen[str], expected: str | None = None) -> str:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line or (expected is not None and line != expected):
            raise RuntimeError(f"{process.args!r} said {line!r} and ended: see above")
        return line


@dataclass(frozen=True, slots=True)
class _Doing:
    workers: Workers
    act: str

    def rate(self, seconds: int, *, commit: str = "on") -> float:
        return self.workers.rate(self.act, seconds, commit)


class Pgbench:
    """PostgreSQL's own client, in prepared mode, running one of our scripts."""

    def __init__(
        self, place: Place, script: str, wallets: Mapping[str, int], *, clients: int = 1
    ) -> None:
        self._command = [
            str(place.postgres.programs / "pgbench"),
            *("--no-vacuum", "--protocol=prepared", f"--file={SQL_DIR / script}"),
            *(f"--client={clients}", f"--jobs={min(clients, 2)}", "--define=n=10000000"),
            *(f"--define={name}={number}" for name, number in wallets.items()),
        ]
        self._url = place.url("portal")

    def rate(self, seconds: int, *, commit: str = "on") -> float:
        """Transactions per second, without the time to connect."""
        # Keys are as long as the portal's and as new: this, the client's number, a counter.
        done = subprocess.run(
            [
                *self._command,
                f"--time={seconds}",
                f"--define=prefix=usage:{secrets.token_hex(13)}",
                self._url,
            ],
            env=os.environ | {"PGOPTIONS": f"-c synchronous_commit={commit}"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"tps = ([0-9.]+) \(without", done.stdout)
        failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
        if done.returncode or found is None or failed is None or int(failed[1]):
            raise RuntimeError(f"pgbench failed:\n{done.stdout}{done.stderr}")
        return float(found[1])


def portal(place: Place, *, clients: int = 1) -> Workers:
    """The portal's own code, able to do the acts of ``work.py``."""
    command = [sys.executable, "-m", "benchmarks.work", "serve"]
    return Workers(command, place.environment(), clients)


def hordak(place: Place) -> Workers:
    """django-hordak on a database of its own in the same PostgreSQL."""
    command = [str(_hordak_python()), "-m", "benchmarks.hordak_work", place.url("other")]
    return Workers(command, dict(os.environ))


def _hordak_python() -> Path:
    """A virtual environment with the competitor and the portal's versions of what both use."""
    wanted = [f"Django=={version('Django')}", f"psycopg[binary]=={version('psycopg')}"]
    made_of = repr([wanted, sys.version, REQUIREMENTS.read_text()])
    folder = BENCH_DIR / f"hordak-{sha256(made_of.encode()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print("Installing django-hordak into an environment of its own …", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", folder)
        _run(python, "-m", "pip", "install", "--quiet", "-r", REQUIREMENTS, *wanted)
        (folder / "complete").touch()
    return python


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stdout}{done.stderr}")
