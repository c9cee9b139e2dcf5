"""The oracle's books: accounts, lots, revenue and caps, without PostgreSQL; see oracle.py."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.ledger.months import period_start

# Role, owner (None: the house) and asset.
Account = tuple[str, str | None, str]

GUARDED = {"creator", "unapplied"}
OWING = {"debt", "accrued", "creator_debt"}
NO_SPENDING = {"revoke", "expire", "debt_payment", "debt_payment_back", "adjustment"}


class Refused(Exception):
    """A promised refusal, by the names of ``billing.errors``; where several fit, any may come."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.names = set(names)


@dataclass(eq=False)
class Lot:
    owner: str
    number: int
    granted: int
    expires_at: datetime | None = None
    priority: int = 0
    promotional: bool = False
    cost: int = 0
    replaces: Lot | None = None
    remaining: int = 0
    held: int = 0
    used: int = 0
    revoked: int = 0
    expired: int = 0
    sales: int = 0
    breakage: int = 0
    refunded: int = 0

    def lives(self, at: datetime) -> bool:
        return self.expires_at is None or self.expires_at > at

    @property
    def free(self) -> int:
        return self.remaining - self.held

    @property
    def deferred(self) -> int:
        return self.cost - self.sales - self.breakage - self.refunded

    def earned(self, used: int) -> int:
        """What so many used units have earned, never more than the customer left with us."""
        return min(self.cost * used // self.granted, self.cost - self.refunded)


@dataclass(eq=False)
class Use:
    lot: Lot
    amount: int
    kind: str
    returned: int = 0


@dataclass(eq=False)
class Move:
    source: Account
    target: Account
    amount: int
    code: str
    at: datetime
    reverses: Move | None = None
    given_back: int = 0
    uses: list[Use] = field(default_factory=list)


@dataclass(eq=False)
class Hold:
    owner: str
    number: int
    amount: int
    code: str
    deadline_at: datetime | None
    created_at: datetime
    pins: list[tuple[Lot, int]]
    cap_period: datetime | None = None
    captured: int = 0
    state: str = "held"


@dataclass
class Cap:
    amount: int
    anchor_at: datetime
    zone: str


@dataclass
class Act:
    contents: tuple[Any, ...]
    result: Any
    moves: list[Move] = field(default_factory=list)


@dataclass(frozen=True)
class Debit:
    owner: str
    amount: int
    code: str
    key: str
    owed_on: str | None = None


@dataclass(frozen=True)
class Leg:
    source: Account
    target: Account
    amount: int
    code: str
    key: str
    shortfall: Account | None = None


class Books:
    """Accounts, moves and the rule that a key acts once."""

    def __init__(self) -> None:
        self.balances: dict[Account, int] = defaultdict(int)
        self.moves: list[Move] = []
        self.lots: list[Lot] = []
        self.holds: list[Hold] = []
        self.acts: dict[str, Act] = {}
        self.caps: dict[str, Cap] = {}
        self.cap_used: dict[tuple[str, datetime], int] = {}

    def move(
        self,
        source: Account,
        target: Account,
        amount: int,
        code: str,
        at: datetime,
        reverses: Move | None = None,
    ) -> Move:
        assert amount > 0
        assert source[2] == target[2]
        move = Move(source, target, amount, code, at, reverses)
        self.balances[source] -= amount
        self.balances[target] += amount
        self.moves.append(move)
        return move

    def once(self, key: str, contents: tuple[Any, ...], do: Callable[[Act], Any]) -> Any:
        """The first result of that key, or what ``do`` gives now."""
        if key in self.acts:
            if self.acts[key].contents != contents:
                raise Refused("IdempotencyMismatch")
            return self.acts[key].result
        act = Act(contents, None)
        act.result = do(act)
        self.acts[key] = act
        return act.result

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        before = copy.deepcopy(self.__dict__)
        try:
            yield
        except Refused:
            self.__dict__.update(before)
            raise


def plan(lots: Sequence[Lot], amount: int) -> tuple[list[tuple[Lot, int]], int]:
    """Which lots give how much, and what they do not cover."""
    takes = []
    for lot in lots:
        part = min(lot.free, amount)
        if part:
            takes.append((lot, part))
            amount -= part
    return takes, amount


class LotBooks(Books):
    """Lots, the debt they pay, and the money behind them."""

    def wallet(self, owner: str) -> Account:
        return ("wallet", owner, "CREDIT")

    def owed(self, owner: str, role: str = "debt") -> int:
        return -self.balances[role, owner, "CREDIT"]

    def house(self, role: str, asset: str = "CREDIT") -> Account:
        return (role, None, asset)

    def spendable(self, owner: str, at: datetime) -> list[Lot]:
        """Free and alive, in burn order."""
        mine = [lot for lot in self.lots if lot.owner == owner and lot.free and lot.lives(at)]
        never = datetime.max.replace(tzinfo=at.tzinfo)
        return sorted(
            mine,
            key=lambda lot: (
                lot.priority,
                lot.expires_at or never,
                not lot.promotional,
                lot.number,
            ),
        )

    def new_lot(self, owner: str, amount: int, **rest: Any) -> Lot:
        lot = Lot(owner, len(self.lots), amount, remaining=amount, **rest)
        self.lots.append(lot)
        return lot

    def burn(self, move: Move, takes: list[tuple[Lot, int]], kind: str) -> None:
        assert sum(part for _, part in takes) == move.amount
        for lot, part in takes:
            lot.remaining -= part
            setattr(lot, kind, getattr(lot, kind) + part)
            move.uses.append(Use(lot, part, kind))

    def pay_debt(self, owner: str, at: datetime) -> None:
        """Purchased lots that are free pay what is owed; promotional ones do not."""
        purchased = [lot for lot in self.spendable(owner, at) if not lot.promotional]
        takes, missing = plan(purchased, self.owed(owner))
        paid = self.owed(owner) - missing
        if paid:
            debt = ("debt", owner, "CREDIT")
            move = self.move(self.wallet(owner), debt, paid, "debt_payment", at)
            self.burn(move, takes, "used")

    def give_back(self, move: Move, amount: int, at: datetime) -> None:
        """Units return to the lots they came from, newest use first."""
        for use in reversed(move.uses):
            part = min(use.amount - use.returned, amount)
            if not part:
                continue
            amount -= part
            use.returned += part
            if use.lot.lives(at):
                use.lot.remaining += part
                setattr(use.lot, use.kind, getattr(use.lot, use.kind) - part)
                if use.lot.sales or use.lot.breakage:
                    self.true_up(use.lot, at)
            else:
                self.replace(use, part, at)
        assert amount == 0

    def replace(self, use: Use, part: int, at: datetime) -> None:
        """The lot has expired: its units come as a new lot of 30 days at the same cost."""
        old, worth = use.lot, 0
        if use.kind == "used":
            worth = old.earned(old.used) - old.earned(old.used - part)
            old.used -= part
            old.revoked += part
            old.refunded += worth
            self.true_up(old, at)
        self.new_lot(
            old.owner,
            part,
            expires_at=at + timedelta(days=30),
            priority=old.priority,
            promotional=old.promotional,
            cost=worth,
            replaces=old,
        )

    def true_up(self, lot: Lot, at: datetime) -> bool:
        """Revenue as the lot's counters say: used units have earned, the rest of a lot that is
        gone is breakage, everything else is deferred."""
        sales = lot.earned(lot.used)
        gone = lot.remaining == 0 and lot.used < lot.granted
        breakage = lot.cost - lot.refunded - sales if gone else 0
        moved = self.book("sales", sales - lot.sales, at)
        moved |= self.book("breakage", breakage - lot.breakage, at)
        lot.sales, lot.breakage = sales, breakage
        return moved

    def book(self, role: str, difference: int, at: datetime) -> bool:
        deferred, income = self.house("deferred", "USD"), self.house(role, "USD")
        if difference > 0:
            self.move(deferred, income, difference, "recognise", at)
        if difference < 0:
            self.move(income, deferred, -difference, "recognise_back", at)
        return difference != 0


class CapBooks(LotBooks):
    """The owner's monthly limit."""

    def count(self, owner: str, amount: int, code: str, at: datetime) -> datetime | None:
        cap = self.caps.get(owner)
        if cap is None or code in NO_SPENDING:
            return None
        starts = period_start(cap.anchor_at, cap.zone, at)
        self.cap_used[owner, starts] = self.cap_used.get((owner, starts), 0) + amount
        return starts

    def uncount(self, hold: Hold, amount: int) -> None:
        if hold.cap_period is not None:
            self.cap_used[hold.owner, hold.cap_period] -= amount

    def over_cap(self, owner: str, amount: int, code: str, at: datetime) -> bool:
        cap = self.caps.get(owner)
        if cap is None or code in NO_SPENDING:
            return False
        starts = period_start(cap.anchor_at, cap.zone, at)
        return self.cap_used.get((owner, starts), 0) + amount > cap.amount

    def set_cap(
        self, owner: str, amount: int | None, *, anchor_at: datetime, zone: str, at: datetime
    ) -> None:
        """What was spent or is held since the month began counts at once."""
        if amount is None:
            self.caps.pop(owner, None)
            return
        self.caps[owner] = Cap(amount, anchor_at, zone)
        starts = period_start(anchor_at, zone, at)
        spent = sum(
            move.amount
            for move in self.moves
            if move.source[0] in ("wallet", "debt", "accrued")
            and move.source[1] == owner
            and move.at >= starts
            and move.code not in NO_SPENDING
        )
        for hold in self.holds:
            if hold.owner == owner and hold.state == "held" and hold.code not in NO_SPENDING:
                if hold.created_at >= starts:
                    if hold.cap_period not in (None, starts):
                        self.uncount(hold, hold.amount)
                    hold.cap_period = starts
                if hold.cap_period == starts:
                    spent += hold.amount
        self.cap_used[owner, starts] = spent
