"""What tests are made of: customers, wallets, orders and payments, through the real services."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import Customer
from billing import catalogue, ledger
from billing.models import (
    Code,
    DisputeState,
    LedgerAccount,
    Order,
    Payment,
    ReconciliationItem,
    ReconciliationRun,
)
from billing.money import CREDIT, USD
from billing.services import credit_packs, orders, payments
from billing.services.charges import Charge
from billing.services.disputes import Claim
from common import clock
from common.ids import uuid7

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

_numbers = itertools.count(1)


def make_customer(**fields: Any) -> Customer:
    """A customer with an address of its own."""
    return Customer.objects.create(
        **{"email": f"customer{next(_numbers)}@example.com", "anchor_at": NOW} | fields
    )


def make_wallet(*, credits_minor: int = 0, customer: Customer | None = None) -> LedgerAccount:
    """A CREDIT wallet holding that much, purchased without cost."""
    wallet = ledger.wallet(customer or make_customer(), CREDIT)
    if credits_minor:
        number = next(_numbers)
        ledger.grant(
            wallet,
            credits_minor,
            code=Code.PURCHASE,
            key=f"test:grant:{number}",
            group=f"test:grant:{number}",
            occurred_at=NOW,
            origin=f"test:{number}",
        )
        wallet.refresh_from_db()
    return wallet


def make_order(*, customer: Customer | None = None, package: str = "small", **fields: Any) -> Order:
    """An open order of a credit package, paid by card."""
    item = credit_packs.sold(catalogue.current().credit_pack(package), USD)
    order = orders.open_order(customer or make_customer(), item, rail="card")
    for name, value in fields.items():
        setattr(order, name, value)
    if fields:
        order.save(update_fields=list(fields))
    return order


def make_charge(order: Order | None, **fields: Any) -> Charge:
    """What the card rail reports when ``order`` is paid exactly (5.00, no tax, unless told)."""
    subtotal = fields.get("subtotal_minor", order.subtotal_minor if order else 5_00)
    discount = fields.get("discount_minor", 0)
    tax = fields.get("tax_minor", 0)
    told = {
        "rail": "card",
        "external_id": f"pi_{next(_numbers)}",
        "asset": USD,
        "amount_minor": subtotal - discount + tax,
        "subtotal_minor": subtotal,
        "discount_minor": discount,
        "tax_minor": tax,
        "occurred_at": NOW,
        "customer": order.customer if order else None,
        "order_id": order.pk if order else None,
    }
    return Charge(**(told | fields))


def make_payment(order: Order | None = None, **fields: Any) -> Payment:
    """A settled payment of a small package."""
    return payments.settle(make_charge(order or make_order(), **fields))


def make_claim(state: DisputeState = DisputeState.OPEN, **fields: Any) -> Claim:
    """What a provider says now of a dispute of a whole small package, its fee included."""
    told: dict[str, Any] = {
        "external_id": f"du_{uuid7()}",
        "state": state,
        "provider_status": "needs_response" if state == DisputeState.OPEN else str(state),
        "reason": "fraudulent",
        "amount_minor": 5_00,
        "withdrawn_minor": 5_00,
        "reinstated_minor": 0,
        "fee_minor": 15_00,
        "opened_at": clock.now(),
        "evidence_due_at": clock.now() + timedelta(days=7),
    }
    return Claim(**(told | fields))


def make_difference(subject: str, **fields: Any) -> ReconciliationItem:
    """What a reconciliation left for somebody to decide: a payment of another amount."""
    now = clock.now()
    run = ReconciliationRun.objects.create(
        rail="card",
        since=now - timedelta(days=2),
        until=now,
        outcome="differences",
        started_at=now,
        finished_at=now,
        found_count=1,
        left_count=1,
    )
    told: dict[str, Any] = {
        "kind": "payment_amount_differs",
        "detail": "Stripe took another amount than we booked.",
        "ours": "$5.99",
        "theirs": "$5.00",
        "is_safe": False,
        "remedy": "Book the difference.",
        "state": "left",
    }
    return ReconciliationItem.objects.create(run=run, subject=subject, **(told | fields))
