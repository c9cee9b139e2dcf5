"""The one writer of value: each function is one round trip to one SQL function of ``billing/sql``.

Amounts are positive integers of the account's smallest unit. Every act has a ``key`` that names
its cause; a key that was used before returns its first result and moves nothing, and raises
IdempotencyMismatch when it comes back with other contents. ``occurred_at`` is when it happened
out there; what is expired or past a deadline is judged by it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from accounts.models import Customer
from billing.models import Hold, Kind, LedgerAccount, Lot, Transfer
from billing.money import Asset
from billing.sql_functions import many, number, one, rows
from common import ids

# -- accounts -------------------------------------------------------------------------------------


def system_account(role: str, asset: Asset) -> LedgerAccount:
    """The house's account of that role, e.g. ``clearing:card``; opened on first use."""
    return _open(None, role, Kind.SYSTEM, asset)


def wallet(customer: Customer, asset: Asset) -> LedgerAccount:
    """The customer's wallet in that asset; opened on first use."""
    return _open(customer, "wallet", Kind.WALLET, asset)


def debt(customer: Customer, asset: Asset) -> LedgerAccount:
    """What the customer owes and must pay before spending again; opened on first use."""
    return _open(customer, "debt", Kind.DEBT, asset)


def balance_account(customer: Customer, role: str, asset: Asset) -> LedgerAccount:
    """A customer's guarded balance that is not made of lots: ``unapplied``, ``creator``."""
    return _open(customer, role, Kind.BALANCE, asset)


def debt_account(customer: Customer, role: str, asset: Asset) -> LedgerAccount:
    """A customer's debt under another name than ``debt``, e.g. ``creator_debt``."""
    return _open(customer, role, Kind.DEBT, asset)


def set_spend_cap(
    account: LedgerAccount, cap_minor: int | None, *, anchor_at: datetime, zone: str, at: datetime
) -> None:
    """Limit (or with None no longer limit) what this wallet spends in a month of its anchor.

    What was spent or is held since the month began counts at once. Replaces an earlier cap.
    """
    rows("ledger_set_cap", account.pk, cap_minor, anchor_at, zone, at)


# -- lots -----------------------------------------------------------------------------------------


def grant(
    account: LedgerAccount,
    amount_minor: int,
    *,
    code: str,
    key: str,
    group: str,
    occurred_at: datetime,
    origin: str,
    source: str = "issued",
    expires_at: datetime | None = None,
    priority: int = 0,
    promotional: bool = False,
    cost_minor: int = 0,
    cost_asset: Asset | None = None,
) -> Lot:
    """Put ``amount_minor`` into a wallet as one lot, once per key.

    A purchased (not promotional) lot pays the owner's debt first. ``cost_minor`` is the money it
    was bought with, net of tax, in ``cost_asset``.
    """
    return one(
        Lot,
        "ledger_grant",
        account.pk,
        source,
        amount_minor,
        code,
        key,
        group,
        occurred_at,
        expires_at,
        priority,
        promotional,
        origin,
        cost_minor,
        cost_asset.code if cost_asset else "",
    )


def spend(
    account: LedgerAccount,
    amount_minor: int,
    *,
    code: str,
    key: str,
    occurred_at: datetime,
    group: str | None = None,
    target: str = "consumed",
) -> Transfer:
    """Take ``amount_minor`` from a wallet's lots, once per key. ``target`` is a system role.

    Raises InsufficientFunds when spendable lots do not cover it, InDebt while the owner owes,
    SpendCapReached, and IdempotencyMismatch.
    """
    return one(
        Transfer,
        "ledger_spend",
        account.pk,
        target,
        amount_minor,
        code,
        key,
        group or key,
        occurred_at,
    )


@dataclass(frozen=True, slots=True)
class Debit:
    """One item of a batch. ``owed_on`` books what lots do not cover: ``debt`` or ``accrued``."""

    account: LedgerAccount
    amount_minor: int
    code: str
    key: str
    target: str = "consumed"
    group: str = ""
    owed_on: str | None = None


@dataclass(frozen=True, slots=True)
class DebitResult:
    """What became of it: ``posted``, ``replayed``, or ``short`` (then nothing moved)."""

    key: str
    status: str
    covered_minor: int
    owed_minor: int


def spend_many(debits: Sequence[Debit], *, occurred_at: datetime) -> list[DebitResult]:
    """Take many debits in one transaction, each once per key, in the order given.

    An item that may not fall short and is not covered (or is refused by debt or cap) is ``short``
    and moves nothing; the others are not held up by it. Raises IdempotencyMismatch for the batch.
    """
    found = rows(
        "ledger_spend_many",
        [d.account.pk for d in debits],
        [d.target for d in debits],
        [d.amount_minor for d in debits],
        [d.code for d in debits],
        [d.key for d in debits],
        [d.group or d.key for d in debits],
        [d.owed_on for d in debits],
        occurred_at,
        casts=("bigint[]", "text[]", "bigint[]", "text[]", "text[]", "text[]", "text[]", ""),
    )
    return [DebitResult(**row) for row in found]


def unwind(
    original_key: str, amount_minor: int, *, code: str, key: str, group: str, occurred_at: datetime
) -> list[Transfer]:
    """Give back ``amount_minor`` of the debit with that key, once per ``key``.

    What had been owed comes back first, then units, newest recorded move first; units of a lot
    that has expired come back as a new lot of 30 days at the same cost. Raises ExceedsOriginal
    beyond what the debit took.
    """
    return many(
        Transfer, "ledger_unwind", original_key, amount_minor, code, key, group, occurred_at
    )


def claw_back(
    account: LedgerAccount, amount_minor: int, *, key: str, group: str, occurred_at: datetime
) -> Transfer:
    """Take back units that are gone, once per key: the owner owes them (``debt``).

    Purchased lots that are free pay that debt at once.
    """
    return one(Transfer, "ledger_claw_back", account.pk, amount_minor, key, group, occurred_at)


def expire(*, occurred_at: datetime, limit: int = 500) -> int:
    """Expire what is left and not held of up to ``limit`` lots past their day; returns how many."""
    return number("ledger_expire", occurred_at, limit)


# -- holds ----------------------------------------------------------------------------------------


def reserve(
    account: LedgerAccount,
    amount_minor: int,
    *,
    code: str,
    key: str,
    deadline_at: datetime | None,
    occurred_at: datetime,
    group: str | None = None,
) -> Hold:
    """Set units aside, once per key, until captured, released or past the deadline.

    Raises InsufficientFunds, InDebt and SpendCapReached like a spend.
    """
    return one(
        Hold,
        "ledger_reserve",
        ids.uuid7(),
        account.pk,
        amount_minor,
        code,
        key,
        group or key,
        deadline_at,
        occurred_at,
    )


def pin(lot: Lot, amount_minor: int, *, key: str, group: str, occurred_at: datetime) -> Hold | None:
    """Hold up to ``amount_minor`` of one lot's free units for a refund, once per key.

    It has no deadline, and capturing it counts as revoked. None when nothing of the lot is free.
    """
    hold = one(Hold, "ledger_pin", ids.uuid7(), lot.pk, amount_minor, key, group, occurred_at)
    # PostgreSQL answers "nothing" as a row of nulls.
    return hold if hold.key is not None else None  # type: ignore[redundant-expr]


def capture(
    hold: Hold,
    amount_minor: int,
    *,
    key: str,
    occurred_at: datetime,
    group: str | None = None,
    target: str = "consumed",
) -> Transfer:
    """Take all or part of a hold, once per key; the rest comes back. Works past the lots' expiry.

    Raises HoldClosed when it was captured, released or expired before, ExceedsOriginal beyond it.
    """
    return one(
        Transfer,
        "ledger_capture",
        hold.pk,
        amount_minor,
        target,
        key,
        group or hold.group,
        occurred_at,
    )


def release(hold_id: UUID, *, occurred_at: datetime) -> Hold:
    """Give everything back; repeating it changes nothing. Raises HoldClosed once captured."""
    return one(Hold, "ledger_release", hold_id, occurred_at)


def expire_holds(*, occurred_at: datetime, limit: int = 500) -> int:
    """Release up to ``limit`` holds past their deadline; returns how many."""
    return number("ledger_expire_holds", occurred_at, limit)


# -- money ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement of a posting. ``shortfall`` owes what the guarded source does not cover."""

    source: LedgerAccount
    target: LedgerAccount
    amount_minor: int
    code: str
    key: str
    shortfall: LedgerAccount | None = None
    reverses: int | None = None


def post(legs: Sequence[Leg], *, group: str, occurred_at: datetime) -> list[Transfer]:
    """Move money between accounts that are not wallets: all legs or none, each once per key.

    Raises InsufficientFunds when a guarded source without ``shortfall`` does not cover its leg.
    """
    payload = [
        {
            "source": leg.source.pk,
            "target": leg.target.pk,
            "amount": leg.amount_minor,
            "code": leg.code,
            "key": leg.key,
            "shortfall": leg.shortfall.pk if leg.shortfall else None,
            "reverses": leg.reverses,
        }
        for leg in legs
    ]
    return many(
        Transfer, "ledger_post", json.dumps(payload), group, occurred_at, casts=("jsonb", "", "")
    )


def recognise(*, occurred_at: datetime, limit: int = 500) -> int:
    """Book what up to ``limit`` lots have earned since last time; returns how many moved."""
    return number("ledger_recognise", occurred_at, limit)


def refund_cost(
    lot: Lot,
    amount_minor: int,
    *,
    target: str,
    key: str,
    group: str,
    occurred_at: datetime,
) -> list[Transfer]:
    """Give money of a lot's cost back: what is deferred first, then breakage, then sales.

    Raises ExceedsOriginal beyond what the lot cost less earlier refunds.
    """
    return many(
        Transfer,
        "ledger_refund_cost",
        lot.pk,
        amount_minor,
        target,
        key,
        group,
        occurred_at,
    )


def unrefund_cost(
    lot: Lot,
    amount_minor: int,
    *,
    source: str,
    key: str,
    group: str,
    occurred_at: datetime,
) -> Transfer:
    """Take a booked refund back because it failed: its money is deferred on the lot again."""
    return one(
        Transfer,
        "ledger_unrefund_cost",
        lot.pk,
        amount_minor,
        source,
        key,
        group,
        occurred_at,
    )


def snapshot(taken_at: datetime) -> int:
    """Keep the system accounts' balances before ``taken_at`` (a day ago or older), once each."""
    return number("ledger_snapshot", taken_at)


def _open(customer: Customer | None, role: str, kind: Kind, asset: Asset) -> LedgerAccount:
    owner = customer.pk if customer else None
    return one(LedgerAccount, "ledger_open_account", owner, role, str(kind), asset.code)
