"""Customers and wallets for the ledger's tests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.models import Customer
from billing import ledger
from billing.models import LedgerAccount, Lot
from billing.money import CREDIT, USD

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)

MakeWallet = Callable[..., LedgerAccount]


@pytest.fixture
def make_wallet() -> MakeWallet:
    """A new customer's wallet with that many units in one purchased lot."""
    made = 0

    def make(units: int = 0, **terms: Any) -> LedgerAccount:
        nonlocal made
        made += 1
        customer = Customer.objects.create(email=f"payer{made}@example.com")
        wallet = ledger.wallet(customer, CREDIT)
        if units:
            buy(wallet, units, key=f"wallet{made}", **terms)
        return wallet

    return make


def buy(wallet: LedgerAccount, units: int, *, key: str, cost: int = 0, **terms: Any) -> Lot:
    """A purchased lot, its money on ``deferred`` as a payment would have put it there."""
    if cost:
        clearing = ledger.system_account("clearing:card", USD)
        deferred = ledger.system_account("deferred", USD)
        leg = ledger.Leg(clearing, deferred, cost, "fund", f"{key}:fund")
        ledger.post([leg], group=key, occurred_at=NOW)
    return ledger.grant(
        wallet,
        units,
        code="purchase",
        key=f"{key}:grant",
        group=key,
        occurred_at=NOW,
        origin="test",
        cost_minor=cost,
        cost_asset=USD,
        **terms,
    )
