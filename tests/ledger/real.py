"""The oracle's acts carried out by the real ledger, in the oracle's words: owners are names, lots
and holds are counted in the order they were made. Each act answers what it promises to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from accounts.models import Customer
from billing import ledger
from billing.models import Hold, Kind, LedgerAccount, Lot, SpendCapPeriod, Transfer
from billing.money import CREDIT, USD, asset
from tests.ledger.books import GUARDED, Account, Debit, Leg


class Real:
    """One customer per owner's name, one wallet each."""

    def __init__(self, owners: Sequence[str]) -> None:
        self.customers = {
            name: Customer.objects.create(email=f"{name}@example.com") for name in owners
        }
        self.names = {customer.pk: name for name, customer in self.customers.items()}
        self.wallets = {
            name: ledger.wallet(customer, CREDIT) for name, customer in self.customers.items()
        }
        self.seen = 0

    def account(self, account: Account) -> LedgerAccount:
        role, owner, code = account
        if owner is None:
            return ledger.system_account(role, asset(code))
        if role in GUARDED:
            return ledger.balance_account(self.customers[owner], role, asset(code))
        return ledger.debt_account(self.customers[owner], role, asset(code))

    def lot(self, number: int) -> Lot:
        return Lot.objects.order_by("pk")[number]

    def hold(self, number: int) -> Hold:
        return Hold.objects.order_by("pk")[number]

    # -- acts --------------------------------------------------------------------------------

    def grant(self, owner: str, amount: int, *, at: datetime, cost: int, **rest: Any) -> int:
        lot = ledger.grant(
            self.wallets[owner],
            amount,
            occurred_at=at,
            group="group",
            origin="test",
            cost_minor=cost,
            cost_asset=USD,
            **rest,
        )
        return lot.pk

    def spend(self, owner: str, amount: int, *, at: datetime, **rest: Any) -> int:
        return ledger.spend(self.wallets[owner], amount, occurred_at=at, **rest).pk

    def spend_many(
        self, items: Sequence[Debit], *, at: datetime
    ) -> list[tuple[str, str, int, int]]:
        debits = [
            ledger.Debit(
                self.wallets[item.owner], item.amount, item.code, item.key, owed_on=item.owed_on
            )
            for item in items
        ]
        return [
            (result.key, result.status, result.covered_minor, result.owed_minor)
            for result in ledger.spend_many(debits, occurred_at=at)
        ]

    def reserve(self, owner: str, amount: int, *, at: datetime, **rest: Any) -> object:
        return ledger.reserve(self.wallets[owner], amount, occurred_at=at, **rest).pk

    def pin(self, lot: int, amount: int, *, key: str, at: datetime) -> object:
        hold = ledger.pin(self.lot(lot), amount, key=key, group="group", occurred_at=at)
        return hold.pk if hold else None

    def capture(self, hold: int, amount: int, *, at: datetime, **rest: Any) -> int:
        return ledger.capture(self.hold(hold), amount, occurred_at=at, **rest).pk

    def release(self, hold: int, *, at: datetime) -> object:
        return ledger.release(self.hold(hold).pk, occurred_at=at).pk

    def expire_holds(self, *, at: datetime) -> int:
        return ledger.expire_holds(occurred_at=at)

    def expire(self, *, at: datetime) -> int:
        return ledger.expire(occurred_at=at)

    def recognise(self, *, at: datetime) -> int:
        return ledger.recognise(occurred_at=at)

    def claw_back(self, owner: str, amount: int, *, key: str, at: datetime) -> int:
        return ledger.claw_back(
            self.wallets[owner], amount, key=key, group="group", occurred_at=at
        ).pk

    def unwind(self, original: str, amount: int, *, at: datetime, **rest: Any) -> list[int]:
        moves = ledger.unwind(original, amount, group="group", occurred_at=at, **rest)
        return [move.pk for move in moves]

    def refund_cost(self, lot: int, amount: int, *, at: datetime, **rest: Any) -> list[int]:
        moves = ledger.refund_cost(self.lot(lot), amount, group="group", occurred_at=at, **rest)
        return [move.pk for move in moves]

    def unrefund_cost(self, lot: int, amount: int, *, at: datetime, **rest: Any) -> int:
        return ledger.unrefund_cost(self.lot(lot), amount, group="group", occurred_at=at, **rest).pk

    def post(self, legs: Sequence[Leg], *, at: datetime) -> list[int]:
        moves = ledger.post(
            [
                ledger.Leg(
                    self.account(leg.source),
                    self.account(leg.target),
                    leg.amount,
                    leg.code,
                    leg.key,
                    shortfall=self.account(leg.shortfall) if leg.shortfall else None,
                )
                for leg in legs
            ],
            group="group",
            occurred_at=at,
        )
        return [move.pk for move in moves]

    def set_cap(self, owner: str, amount: int | None, **rest: Any) -> None:
        ledger.set_spend_cap(self.wallets[owner], amount, **rest)

    # -- what the tables say -----------------------------------------------------------------

    def lots(self) -> list[tuple[Any, ...]]:
        rows = Lot.objects.order_by("pk").values_list(
            "account__owner", "granted_minor", "remaining_minor", "held_minor", "used_minor",
            "revoked_minor", "expired_minor", "expires_at", "priority", "promotional",
            "cost_minor", "recognised_minor", "breakage_minor", "refunded_minor", "replaces", "pk",
        )  # fmt: skip
        numbers: dict[int | None, int] = {row[-1]: number for number, row in enumerate(rows)}
        return [(self.names[row[0]], *row[1:-2], numbers.get(row[-2])) for row in rows]

    def holds(self) -> list[tuple[Any, ...]]:
        rows = Hold.objects.order_by("pk").values_list(
            "account__owner", "amount_minor", "captured_minor", "state", "code", "cap_period_at"
        )
        return [(self.names[row[0]], *row[1:]) for row in rows]

    def counters(self) -> dict[Account, tuple[int, int]]:
        """Balance and held of every account that carries them."""
        rows = LedgerAccount.objects.exclude(kind=Kind.SYSTEM).values_list(
            "role", "owner", "asset", "balance_minor", "held_minor"
        )
        return {
            (role, self.names[owner], code): (balance or 0, held or 0)
            for role, owner, code, balance, held in rows
        }

    def cap_used(self) -> dict[tuple[str, datetime], int]:
        rows = SpendCapPeriod.objects.values_list("account__owner", "starts_at", "used_minor")
        return {(self.names[owner], starts): used for owner, starts, used in rows}

    def new_moves(self) -> Counter[tuple[Any, ...]]:
        """Transfers since the last look, without regard to order."""
        rows = Transfer.objects.filter(pk__gt=self.seen).values_list(
            "source__role", "source__owner", "target__role", "target__owner", "source__asset",
            "amount_minor", "code", "occurred_at", "reverses__amount_minor", "pk",
        )  # fmt: skip
        self.seen = max([self.seen, *(row[-1] for row in rows)])
        return Counter(
            (
                (row[0], self.names.get(row[1]), row[4]),
                (row[2], self.names.get(row[3]), row[4]),
                *row[5:-1],
            )
            for row in rows
        )
