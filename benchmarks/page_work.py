"""Somebody with a long history, and their first page: ``python -m benchmarks.page_work VISITS``."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from statistics import quantiles

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_project.settings")

import django

if __name__ == "__main__":
    django.setup()

from django.conf import settings
from django.test import Client

from accounts import services
from accounts.models import Customer, User
from billing import ledger
from billing.ledger import Debit
from billing.models import Code, LedgerAccount
from billing.money import CREDIT
from common import clock

MOVEMENTS = 10_000
LOTS = 200
BATCH = 500
LOT_MINOR = 1_000_000_000
# A page with the same header and a form, and the page that is measured.
TRIVIAL, DASHBOARD = "/settings/", "/billing/"
WARM_UP = 3


def live_through(customer: Customer, movements: int = MOVEMENTS) -> None:
    """Give the customer a month of credits, granted in lots that expire, and their use."""
    wallet = ledger.wallet(customer, CREDIT)
    now = clock.now()
    for number in range(LOTS):
        ledger.grant(
            wallet,
            LOT_MINOR,
            code=Code.PROMOTION,
            key=f"history:{customer.pk}:lot:{number}",
            group=f"history:{customer.pk}:{number}",
            occurred_at=now,
            origin=f"history:{customer.pk}:{number}",
            expires_at=now + timedelta(days=20 + number),
        )
    for start in range(0, movements - LOTS, BATCH):
        ledger.spend_many(
            _uses(wallet, start, min(BATCH, movements - LOTS - start)), occurred_at=now
        )


def _uses(wallet: LedgerAccount, start: int, count: int) -> list[Debit]:
    return [
        Debit(
            account=wallet,
            amount_minor=1_000_000 + number,
            code=Code.USAGE,
            key=f"history:{wallet.pk}:use:{number}",
            group=f"ref:{wallet.owner_id}:work {number}",
        )
        for number in range(start, start + count)
    ]


def race(client: Client, paths: tuple[str, ...], visits: int) -> dict[str, list[float]]:
    """Milliseconds of each visit to each page, the pages taking turns."""
    times: dict[str, list[float]] = {path: [] for path in paths}
    for number in range(visits + WARM_UP):
        for path in paths:
            took = _milliseconds(lambda path=path: _visit(client, path))  # type: ignore[misc]
            if number >= WARM_UP:
                times[path].append(took)
    return times


def p95(times: list[float]) -> float:
    """What 95 of 100 visits did not take longer than."""
    return quantiles(times, n=20)[-1]


def _visit(client: Client, path: str) -> None:
    status = client.get(path).status_code
    if status != 200:
        raise RuntimeError(f"{path} answered {status}")


def _milliseconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def _person() -> User:
    return services.register_person(
        email="history@example.com", password="history", name="", email_verified=True
    )


def main() -> None:
    """Print the 95th percentile of the page's server time, and of a trivial page's."""
    # What is collected for production is of no interest here.
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    logging.disable(logging.INFO)
    user = _person()
    customer = Customer.objects.get(memberships__user=user)
    live_through(customer)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    times = race(client, (TRIVIAL, DASHBOARD), int(sys.argv[1]))
    found = {"trivial_p95_ms": p95(times[TRIVIAL]), "dashboard_p95_ms": p95(times[DASHBOARD])}
    print(json.dumps({name: round(value, 1) for name, value in found.items()}))


if __name__ == "__main__":
    main()
