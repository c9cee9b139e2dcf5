"""What the ledger promises, as a slow model in plain Python: lists, sums and no database.

Written from DESIGN §3, docs/ledger.md and the docstrings of ``billing.ledger``. Owners are short
names, lots and holds are known by the order in which they were made, moments move forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tests.ledger.books import (
    GUARDED,
    OWING,
    Account,
    Act,
    CapBooks,
    Debit,
    Hold,
    Leg,
    Lot,
    Move,
    Refused,
    plan,
)


class Lots(CapBooks):
    """Acts on wallets that are neither holds nor refunds."""

    def grant(
        self,
        owner: str,
        amount: int,
        *,
        key: str,
        code: str,
        at: datetime,
        expires_at: datetime | None,
        priority: int,
        promotional: bool,
        cost: int,
    ) -> int:
        def do(act: Act) -> int:
            move = self.move(self.house("issued"), self.wallet(owner), amount, code, at)
            act.moves.append(move)
            lot = self.new_lot(
                owner,
                amount,
                expires_at=expires_at,
                priority=priority,
                promotional=promotional,
                cost=cost,
            )
            if not promotional:
                self.pay_debt(owner, at)
            return lot.number

        terms = (expires_at, priority, promotional, cost)
        return int(self.once(key, ("grant", owner, amount, code, *terms), do))

    def spend(self, owner: str, amount: int, *, code: str, key: str, at: datetime) -> None:
        def do(act: Act) -> tuple[int, int]:
            refusals = self.refusals(owner, amount, code, at)
            if refusals:
                raise Refused(*refusals)
            return self.debit(act, Debit(owner, amount, code, key), at)

        if self.once(key, ("debit", owner, amount, code), do) != (amount, 0):
            raise Refused("IdempotencyMismatch")

    def refusals(self, owner: str, amount: int, code: str, at: datetime) -> list[str]:
        """Why so much may not be spent or reserved."""
        _, missing = plan(self.spendable(owner, at), amount)
        found = {
            "InDebt": self.owed(owner) > 0,
            "InsufficientFunds": missing > 0,
            "SpendCapReached": self.over_cap(owner, amount, code, at),
        }
        return [name for name, applies in found.items() if applies]

    def debit(self, act: Act, item: Debit, at: datetime) -> tuple[int, int]:
        """Books a debit, and what no lot covers on the account that owes it."""
        takes, owed = plan(self.spendable(item.owner, at), item.amount)
        covered = item.amount - owed
        self.count(item.owner, item.amount, item.code, at)
        consumed = self.house("consumed")
        if covered:
            move = self.move(self.wallet(item.owner), consumed, covered, item.code, at)
            self.burn(move, takes, "used")
            act.moves.append(move)
        if owed:
            assert item.owed_on is not None
            owing = (item.owed_on, item.owner, "CREDIT")
            act.moves.append(self.move(owing, consumed, owed, item.code, at))
        return covered, owed

    def spend_many(
        self, items: Sequence[Debit], *, at: datetime
    ) -> list[tuple[str, str, int, int]]:
        with self.all_or_nothing():
            return [self._one_of_many(item, at) for item in items]

    def _one_of_many(self, item: Debit, at: datetime) -> tuple[str, str, int, int]:
        status = "replayed" if item.key in self.acts else "posted"
        refusable = status == "posted" and item.owed_on is None
        if refusable and self.refusals(item.owner, item.amount, item.code, at):
            return (item.key, "short", 0, 0)
        covered, owed = self.once(
            item.key,
            ("debit", item.owner, item.amount, item.code),
            lambda act: self.debit(act, item, at),
        )
        return (item.key, status, covered, owed)

    def expire(self, *, at: datetime) -> int:
        due = [lot for lot in self.lots if lot.free and not lot.lives(at)]
        for lot in due:
            wallet, expired = self.wallet(lot.owner), self.house("expired")
            move = self.move(wallet, expired, lot.free, "expire", at)
            self.burn(move, [(lot, lot.free)], "expired")
        return len(due)

    def recognise(self, *, at: datetime) -> int:
        return sum(self.true_up(lot, at) for lot in self.lots)


class Holds(Lots):
    """Units set aside."""

    def reserve(
        self,
        owner: str,
        amount: int,
        *,
        code: str,
        key: str,
        deadline_at: datetime | None,
        at: datetime,
    ) -> int:
        def do(act: Act) -> int:
            refusals = self.refusals(owner, amount, code, at)
            if refusals:
                raise Refused(*refusals)
            takes, _ = plan(self.spendable(owner, at), amount)
            hold = self._pin_down(owner, amount, code, takes, at)
            hold.deadline_at = deadline_at
            hold.cap_period = self.count(owner, amount, code, at)
            return hold.number

        return int(self.once("hold:" + key, ("reserve", owner, amount, code), do))

    def pin(self, lot: int, amount: int, *, key: str, at: datetime) -> int | None:
        """Up to ``amount`` of one lot; a replay may ask for more than was free, not for less."""

        def do(act: Act) -> tuple[int, int]:
            chosen = self.lots[lot]
            part = min(amount, chosen.free)
            hold = self._pin_down(chosen.owner, part, "revoke", [(chosen, part)], at)
            return hold.number, part

        if "hold:" + key not in self.acts and not self.lots[lot].free:
            return None
        number, pinned = self.once("hold:" + key, ("pin", lot), do)
        if amount < pinned:
            raise Refused("IdempotencyMismatch")
        return int(number)

    def _pin_down(
        self, owner: str, amount: int, code: str, takes: list[tuple[Lot, int]], at: datetime
    ) -> Hold:
        for lot, part in takes:
            lot.held += part
        hold = Hold(owner, len(self.holds), amount, code, None, at, takes)
        self.holds.append(hold)
        return hold

    def capture(
        self, hold: int, amount: int, *, target: str = "consumed", key: str, at: datetime
    ) -> None:
        def do(act: Act) -> None:
            held = self.holds[hold]
            if held.state != "held":
                raise Refused("HoldClosed")
            if amount > held.amount:
                raise Refused("ExceedsOriginal")
            self._unpin(held)
            takes, left = [], amount
            for lot, pinned in held.pins:
                takes.append((lot, min(pinned, left)))
                left -= takes[-1][1]
            wallet = self.wallet(held.owner)
            move = self.move(wallet, self.house(target), amount, held.code, at)
            act.moves.append(move)
            kind = "revoked" if held.code == "revoke" else "used"
            self.burn(move, [take for take in takes if take[1]], kind)
            held.state, held.captured = "captured", amount
            self.uncount(held, held.amount - amount)
            self.pay_debt(held.owner, at)

        self.once(key, ("capture", hold, amount, target), do)

    def release(self, hold: int, *, at: datetime) -> None:
        held = self.holds[hold]
        if held.state == "captured":
            raise Refused("HoldClosed")
        self._close(held, "released", at)

    def expire_holds(self, *, at: datetime) -> int:
        due = [
            hold
            for hold in self.holds
            if hold.state == "held" and hold.deadline_at and hold.deadline_at <= at
        ]
        for hold in due:
            self._close(hold, "expired", at)
        return len(due)

    def _close(self, hold: Hold, state: str, at: datetime) -> None:
        if hold.state == "held":
            self._unpin(hold)
            self.uncount(hold, hold.amount)
            hold.state = state
            self.pay_debt(hold.owner, at)

    def _unpin(self, hold: Hold) -> None:
        for lot, part in hold.pins:
            lot.held -= part


class Oracle(Holds):
    """All acts; those that undo, and those on money, are here."""

    def claw_back(self, owner: str, amount: int, *, key: str, at: datetime) -> None:
        def do(act: Act) -> None:
            debt = ("debt", owner, "CREDIT")
            act.moves.append(self.move(debt, self.house("revoked"), amount, "revoke", at))
            self.pay_debt(owner, at)

        self.once(key, ("claw_back", owner, amount), do)

    def unwind(self, original: str, amount: int, *, code: str, key: str, at: datetime) -> None:
        def do(act: Act) -> None:
            debit = self.acts.get(original)
            if debit is None or debit.contents[0] not in ("debit", "capture", "claw_back"):
                raise Refused("NotPossible")
            if amount > sum(move.amount - move.given_back for move in debit.moves):
                raise Refused("ExceedsOriginal")
            left = amount
            for move in reversed(debit.moves):
                part = min(move.amount - move.given_back, left)
                left -= part
                if part:
                    self._undo(move, part, code, at)
            self.pay_debt(str(debit.moves[0].source[1]), at)

        self.once(key, ("unwind", original, amount, code), do)

    def _undo(self, move: Move, part: int, code: str, at: datetime) -> None:
        move.given_back += part
        role, owner, _ = move.source
        still_owed = -self.balances[move.source]
        self.move(move.target, move.source, part, code, at, move)
        if role == "wallet":
            self.give_back(move, part, at)
            return
        # Less is owed by now than comes back: the newest payments are returned, and what was
        # settled outside the wallet becomes a lot.
        assert owner is not None
        left = max(part - still_owed, 0)
        wallet = self.wallet(owner)
        for payment in reversed(self.moves):
            back = min(payment.amount - payment.given_back, left)
            if back and (payment.source, payment.target) == (wallet, move.source):
                payment.given_back += back
                left -= back
                self.move(move.source, wallet, back, "debt_payment_back", at, payment)
                self.give_back(payment, back, at)
        if left:
            self.move(move.source, wallet, left, "debt_payment_back", at)
            self.new_lot(owner, left)

    def refund_cost(self, lot: int, amount: int, *, target: str, key: str, at: datetime) -> None:
        def do(act: Act) -> None:
            of = self.lots[lot]
            if amount > of.cost - of.refunded:
                raise Refused("ExceedsOriginal")
            left = amount
            for role, there in [
                ("deferred", of.deferred),
                ("breakage", of.breakage),
                ("sales", of.sales),
            ]:
                part = min(there, left)
                left -= part
                if part:
                    self.move(
                        self.house(role, "USD"), self.house(target, "USD"), part, "refund", at
                    )
                    of.refunded += part
                    if role != "deferred":
                        setattr(of, role, there - part)

        self.once(key, ("refund_cost", amount, target), do)

    def unrefund_cost(self, lot: int, amount: int, *, source: str, key: str, at: datetime) -> None:
        def do(act: Act) -> None:
            of = self.lots[lot]
            moved_on = sum(newer.cost for newer in self.lots if newer.replaces is of)
            if amount > of.refunded - moved_on:
                raise Refused("ExceedsOriginal")
            deferred = self.house("deferred", "USD")
            self.move(self.house(source, "USD"), deferred, amount, "refund_failed", at)
            of.refunded -= amount

        self.once(key, ("unrefund_cost", amount, source), do)

    def post(self, legs: Sequence[Leg], *, at: datetime) -> None:
        with self.all_or_nothing():
            for leg in legs:
                contents = ("leg", leg.source, leg.target, leg.amount, leg.code)
                self.once(leg.key, contents, lambda _, leg=leg: self._leg(leg, at))  # type: ignore[misc]

    def _leg(self, leg: Leg, at: datetime) -> None:
        covered = leg.amount
        if leg.source[0] in GUARDED:
            covered = min(leg.amount, self.balances[leg.source])
        if covered < leg.amount and leg.shortfall is None:
            raise Refused("InsufficientFunds")
        if covered:
            self._pay(leg.source, leg.target, covered, leg.code, at)
        if covered < leg.amount:
            assert leg.shortfall is not None
            self._pay(leg.shortfall, leg.target, leg.amount - covered, leg.code, at)

    def _pay(self, source: Account, target: Account, amount: int, code: str, at: datetime) -> None:
        if target[0] in OWING and self.balances[target] + amount > 0:
            raise Refused("ExceedsOriginal")
        self.move(source, target, amount, code, at)
