"""Measure, print, and write ``var/bench.json``. BENCH_SECONDS is how long to measure."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import Any

from benchmarks import contenders, report, rounds, webhooks
from benchmarks.contenders import Contender, Pgbench, Workers
from benchmarks.places import Place, sync_microseconds
from billing_project.paths import BASE_DIR, VAR_DIR

DEFAULT_SECONDS = 150
VISITS = 200
# Of every six seconds, one is spent without waiting for the disk.
WITHOUT_DISK_SHARE = 6
WITHOUT_DISK = ("hordak", "spend", "pgbench_spend", "minimal_transaction", "minimal_function")


def main() -> None:
    """Make a place, let everybody take turns in it, and report."""
    seconds = int(os.environ.get("BENCH_SECONDS") or DEFAULT_SECONDS)
    load = round(os.getloadavg()[0], 1)
    place = Place()
    with place.opened():
        synced = sync_microseconds()
        wallets = json.loads(_seed(place))
        with _everybody(place, wallets) as everybody:
            fast = {name: everybody[name] for name in WITHOUT_DISK}
            off_seconds = seconds // WITHOUT_DISK_SHARE
            count = rounds.that_fit(seconds - off_seconds, len(everybody))
            rates = rounds.interleave(everybody, rounds=count)
            off_count = rounds.that_fit(off_seconds, len(fast))
            off = rounds.interleave(fast, rounds=off_count, commit="off")
        _check_the_books(place)
        settled = webhooks.measure(place, _orders(seconds))
        pages = _pages(place)
        found = report.result(
            rates,
            off,
            sync_microseconds=synced,
            machine=_machine(place, load, count),
            webhooks=settled,
            pages=pages,
        )
    (VAR_DIR / "bench.json").write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{report.text(found)}\n\nWritten to var/bench.json")


def _seed(place: Place) -> str:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.work", "seed"],
        cwd=BASE_DIR,
        env=place.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def _pages(place: Place) -> dict[str, float]:
    """How long the server takes for the first page of somebody with a long history."""
    print("Visiting the first page of somebody with a long history", flush=True)
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.page_work", str(VISITS)],
        cwd=BASE_DIR,
        env=place.environment(),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def _check_the_books(place: Place) -> None:
    """A debit that was quick and wrong would not count: stops here if anything does not add up."""
    print("Adding the books up", flush=True)
    command = [sys.executable, "manage.py", "check_ledger"]
    subprocess.run(command, cwd=BASE_DIR, env=place.environment(), check=True)


@contextmanager
def _everybody(place: Place, wallets: dict[str, int]) -> Iterator[dict[str, Contender]]:
    """All contenders, those who are compared next to each other."""
    spread = {"first_wallet": wallets["first"], "last_wallet": wallets["last"]}
    hot = {"first_wallet": wallets["hot"], "last_wallet": wallets["hot"]}
    clients = contenders.HOT_CLIENTS
    with ExitStack() as stack:

        def workers(made: Workers) -> Workers:
            stack.callback(made.close)
            return made

        hordak = workers(contenders.hordak(place))
        portal = workers(contenders.portal(place))
        crowd = workers(contenders.portal(place, clients=clients))
        yield {
            "hordak_transfer": hordak.doing("hordak_transfer"),
            "hordak": hordak.doing("hordak"),
            "spend_many": portal.doing("spend_many"),
            "spend": portal.doing("spend"),
            "pgbench_spend": Pgbench(place, "spend.pgbench", spread),
            "minimal_transaction": Pgbench(place, "minimal_transaction.pgbench", {}),
            "minimal_function": Pgbench(place, "minimal_function.pgbench", {}),
            "hold_and_capture": portal.doing("hold_and_capture"),
            "hot_wallet": crowd.doing("hot_wallet"),
            "pgbench_hot_wallet": Pgbench(place, "spend.pgbench", hot, clients=clients),
        }


def _orders(seconds: int) -> int:
    """How many orders to have paid: buying them takes its time too."""
    return max(5, min(40, seconds // 3))


def _machine(place: Place, load: float, count: int) -> dict[str, Any]:
    return {
        "PostgreSQL": place.version(),
        "Python": platform.python_version(),
        "Django": version("Django"),
        "cores": os.cpu_count(),
        "load": load,
        "rounds": count,
    }


if __name__ == "__main__":
    main()
