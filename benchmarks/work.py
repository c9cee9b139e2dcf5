"""The portal's side of a measurement: ``python -m benchmarks.work seed`` or ``serve``."""

from __future__ import annotations

import json
import os
import random
import sys
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_project.settings")

import django

django.setup()

from django.db import connection, transaction  # noqa: E402

from accounts.models import Customer  # noqa: E402
from benchmarks import loop  # noqa: E402
from billing import ledger  # noqa: E402
from billing.models import Code, LedgerAccount  # noqa: E402
from billing.money import CREDIT  # noqa: E402
from common import clock, ids  # noqa: E402

# Few rows make PostgreSQL read whole tables instead of indexes: there are more customers than are
# debited, as there would be.
CUSTOMERS = 5000
WALLETS = 100
LOTS = 3
BATCH = 500
LOT_MINOR = 1_000_000_000_000000
AMOUNT_MINOR = 1_000000
MINUTE = timedelta(minutes=1)


def seed() -> None:
    """Make customers with wallets; print the ids of those that are debited."""
    with transaction.atomic():
        for role in ("issued", "consumed"):
            ledger.system_account(role, CREDIT)
        customers = Customer.objects.bulk_create(
            Customer(email=f"bench{number}@example.com") for number in range(CUSTOMERS)
        )
        wallets = [ledger.wallet(customer, CREDIT) for customer in customers]
        for number, wallet in enumerate(wallets):
            for lot in range(LOTS if number <= WALLETS else 1):
                _grant(wallet, lot)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    first, last, hot = (wallets[number].pk for number in (0, WALLETS - 1, WALLETS))
    assert last - first == WALLETS - 1, "pgbench picks wallets by a range of ids"
    print(json.dumps({"first": first, "last": last, "hot": hot}))


def _grant(wallet: LedgerAccount, lot: int) -> None:
    ledger.grant(
        wallet,
        LOT_MINOR,
        code=Code.PURCHASE,
        key=f"bench:{wallet.pk}:{lot}",
        group=f"bench:{wallet.pk}",
        occurred_at=clock.now(),
        origin=f"bench:{wallet.pk}",
    )


def spend(wallets: list[LedgerAccount]) -> loop.Act:
    """One debit of one of the wallets."""

    def act() -> int:
        ledger.spend(
            random.choice(wallets),
            AMOUNT_MINOR,
            code=Code.USAGE,
            key=f"usage:{ids.uuid7()}",
            occurred_at=clock.now(),
        )
        return 1

    return act


def spend_many(wallets: list[LedgerAccount]) -> loop.Act:
    """A batch of debits over all wallets."""

    def act() -> int:
        batch = ids.uuid7()
        results = ledger.spend_many(
            [
                ledger.Debit(wallets[i % WALLETS], AMOUNT_MINOR, Code.USAGE, f"usage:{batch}:{i}")
                for i in range(BATCH)
            ],
            occurred_at=clock.now(),
        )
        assert all(result.status == "posted" for result in results)
        return BATCH

    return act


def hold_and_capture(wallets: list[LedgerAccount]) -> loop.Act:
    """Set an amount aside, then take it: two calls, two commits."""

    def act() -> int:
        key = f"usage:{ids.uuid7()}"
        now = clock.now()
        held = ledger.reserve(
            random.choice(wallets),
            AMOUNT_MINOR,
            code=Code.USAGE,
            key=key,
            deadline_at=now + 10 * MINUTE,
            occurred_at=now,
        )
        ledger.capture(held, AMOUNT_MINOR, key=f"{key}:capture", occurred_at=now)
        return 1

    return act


def _set_commit(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('synchronous_commit', %s, false)", [value])


def main() -> None:
    """Seed the database, or serve the acts."""
    if sys.argv[1] == "seed":
        seed()
        return
    wallets = list(LedgerAccount.objects.filter(role="wallet").order_by("pk")[: WALLETS + 1])
    spread, hot = wallets[:WALLETS], wallets[WALLETS:]
    acts = {
        "spend": spend(spread),
        "spend_many": spend_many(spread),
        "hold_and_capture": hold_and_capture(spread),
        "hot_wallet": spend(hot),
    }
    loop.serve(acts, _set_commit)


if __name__ == "__main__":
    main()
