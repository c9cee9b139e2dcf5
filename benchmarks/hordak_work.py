"""The competitor's side: the same debit by django-hordak's own documented calls.

Runs in the competitor's environment. Its ``transfer_to`` alone would let a wallet go below zero,
so the same debit is: lock the account, look at its balance, transfer. ``transfer_to`` alone is
measured too. That a key counts once is left out of both, in its favour.
"""

from __future__ import annotations

import random
import sys
import uuid
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from benchmarks import loop

WALLETS = 100


def main() -> None:
    """Migrate the database named by the first argument, then serve."""
    address = urlsplit(sys.argv[1])
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": address.path.strip("/"),
                "USER": address.username,
                "HOST": parse_qs(address.query)["host"][0],
                "CONN_MAX_AGE": None,
            }
        },
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "mptt",
            "djmoney",
            "hordak",
        ],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DEFAULT_CURRENCY="USD",
        CURRENCIES=["USD"],
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    loop.serve(_acts(), _set_commit)


def _acts() -> dict[str, loop.Act]:
    models: Any = import_module("hordak.models")
    money = import_module("moneyed").Money
    types, make = models.AccountType, models.Account.objects.create
    bank = make(name="bank", code="0", type=types.asset)
    consumed = make(name="consumed", code="1", type=types.income)
    wallets = [
        make(name=f"wallet {n}", code=str(n + 2), type=types.liability) for n in range(WALLETS)
    ]
    for wallet in wallets:
        wallet.transfer_to(bank, money(1_000_000_000, "USD"))  # credits the one it is called on
    amount = money("1.00", "USD")

    def debit() -> int:
        with transaction.atomic():
            wallet = models.Account.objects.select_for_update().get(pk=random.choice(wallets).pk)
            if wallet.get_simple_balance()["USD"] < amount:
                raise RuntimeError("short")
            consumed.transfer_to(wallet, amount, description=f"usage:{uuid.uuid4()}")
        return 1

    def transfer() -> int:
        consumed.transfer_to(random.choice(wallets), amount, description=f"usage:{uuid.uuid4()}")
        return 1

    return {"hordak": debit, "hordak_transfer": transfer}


def _set_commit(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('synchronous_commit', %s, false)", [value])


if __name__ == "__main__":
    main()
