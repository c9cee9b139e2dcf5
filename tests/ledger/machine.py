"""Random acts on the real ledger and on the oracle, side by side, compared after each of them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
from django.db import transaction
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from billing.selectors import audit
from common.errors import BillingError
from tests.ledger.books import Account, Debit, Leg, Refused
from tests.ledger.oracle import Oracle
from tests.ledger.real import Real

START = datetime(2026, 1, 30, 22, 30, tzinfo=UTC)
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]
OWNERS = ["ada", "bob"]
CLEARING: Account = ("clearing:card", None, "USD")
DEFERRED: Account = ("deferred", None, "USD")

owners = st.sampled_from(OWNERS)
amounts = st.integers(1, 40)
picks = st.integers(0, 10_000)
lifetimes = st.none() | st.sampled_from([1, 2, 7, 30, 40]).map(lambda days: timedelta(days=days))
steps = st.sampled_from(
    [
        timedelta(minutes=1),
        timedelta(hours=7),
        timedelta(days=1),
        timedelta(days=9),
        timedelta(days=30, hours=22),
    ]
)


class ActsMachine(RuleBasedStateMachine):
    """Everything happens in one transaction that is rolled back at the end."""

    # The audit takes most of the time: every so many steps is enough for a quick run.
    steps_per_audit = 1

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.now = START
        self.oracle = Oracle()
        self.real = Real(OWNERS)
        self.history: list[tuple[str, tuple[Any, ...], dict[str, Any], object]] = []
        self.keys = 0
        self.steps = 0

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def key(self) -> str:
        self.keys += 1
        return f"key{self.keys}"

    def act(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Do it on both sides; they must agree on the answer or on the refusal, and then on all
        that can be seen."""
        refusals: set[str] = set()
        refusal = ""
        expected: Any = None
        found: Any = None
        try:
            expected = getattr(self.oracle, name)(*args, **kwargs, at=self.now)
        except Refused as refused:
            refusals = refused.names
        try:
            with transaction.atomic():
                found = getattr(self.real, name)(*args, **kwargs, at=self.now)
        except BillingError as refused:
            refusal = type(refused).__name__
        told = f"{name} {args} {kwargs}: {refusal or 'done'}, not {refusals or 'done'}"
        assert refusal in (refusals or {""}), told
        if name in ("spend_many", "expire", "expire_holds", "recognise"):
            assert found == expected
        self.compare()
        if not refusals:
            self.history.append((name, args, kwargs, found))
        return expected

    def compare(self) -> None:
        oracle, real = self.oracle, self.real
        assert real.lots() == [
            (
                lot.owner, lot.granted, lot.remaining, lot.held, lot.used, lot.revoked,
                lot.expired, lot.expires_at, lot.priority, lot.promotional, lot.cost, lot.sales,
                lot.breakage, lot.refunded, lot.replaces.number if lot.replaces else None,
            )
            for lot in oracle.lots
        ]  # fmt: skip
        assert real.holds() == [
            (hold.owner, hold.amount, hold.captured, hold.state, hold.code, hold.cap_period)
            for hold in oracle.holds
        ]
        for account, (balance, held) in real.counters().items():
            assert balance == oracle.balances[account], account
            pinned = [hold for hold in oracle.holds if hold.state == "held"]
            mine = sum(hold.amount for hold in pinned if account == oracle.wallet(hold.owner))
            assert held == mine, account
        used = real.cap_used()
        assert {key: value for key, value in used.items() if value} == {
            key: value for key, value in oracle.cap_used.items() if value
        }
        before = getattr(self, "compared", 0)
        assert real.new_moves() == Counter(
            (
                move.source,
                move.target,
                move.amount,
                move.code,
                move.at,
                move.reverses.amount if move.reverses else None,
            )
            for move in oracle.moves[before:]
        )
        self.compared = len(oracle.moves)

    # -- what must always be true ------------------------------------------------------------

    @invariant()
    def every_unit_is_somewhere(self) -> None:
        for lot in self.oracle.lots:
            assert lot.granted == lot.remaining + lot.used + lot.revoked + lot.expired
            assert 0 <= lot.held <= lot.remaining
        for owner in OWNERS:
            mine = [lot.remaining for lot in self.oracle.lots if lot.owner == owner]
            assert self.oracle.balances[self.oracle.wallet(owner)] == sum(mine)

    @invariant()
    def every_cent_of_a_cost_is_somewhere(self) -> None:
        lots = self.oracle.lots
        assert all(lot.deferred >= 0 for lot in lots)
        assert self.oracle.balances[DEFERRED] == sum(lot.deferred for lot in lots)

    @invariant()
    def purchased_units_are_not_free_while_the_owner_owes(self) -> None:
        for owner in OWNERS:
            if self.oracle.owed(owner):
                free = self.oracle.spendable(owner, self.now)
                assert all(lot.promotional for lot in free)

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        self.steps += 1
        if self.steps % self.steps_per_audit:
            return
        found = audit.differences(at=self.now)
        assert not found, [str(difference) for difference in found]

    @invariant()
    def every_asset_nets_to_zero(self) -> None:
        for code in ("CREDIT", "USD"):
            total = sum(value for key, value in self.oracle.balances.items() if key[2] == code)
            assert total == 0

    @initialize(spent=st.tuples(amounts, amounts), is_recognised=st.booleans())
    def begin(self, spent: tuple[int, int], is_recognised: bool) -> None:
        """Everybody has bought, spent and reserved, so that most acts find something to act on."""
        for owner, amount in zip(OWNERS, spent, strict=True):
            self.purchase(owner, 37, 53, timedelta(days=1), 0)
            self.promotion(owner, 11, timedelta(days=2))
            self.purchase(owner, 60 + amount, 50 + amount, None, 0)
            self.spend(owner, 20 + amount, "usage")
            self.reserve(owner, 15, timedelta(days=1), "usage")
        if is_recognised:
            self.recognise()

    # -- time --------------------------------------------------------------------------------

    @rule(step=steps)
    def time_passes(self, step: timedelta) -> None:
        self.now += step

    @rule(pick=picks)
    def the_very_moment_comes(self, pick: int) -> None:
        """A lot expires, or a hold is due, at exactly this moment."""
        ends = [lot.expires_at for lot in self.oracle.lots]
        ends += [hold.deadline_at for hold in self.oracle.holds if hold.state == "held"]
        later = sorted({end for end in ends if end is not None and end > self.now})
        if later:
            self.now = later[pick % min(2, len(later))]

    @rule(name=st.sampled_from(["expire", "expire_holds"]))
    def sweep(self, name: str) -> None:
        self.act(name)

    @rule()
    def recognise(self) -> None:
        self.act("recognise")
        assert all(
            lot.sales == lot.earned(lot.used) and (lot.remaining or not lot.deferred)
            for lot in self.oracle.lots
        )

    # -- units in and out --------------------------------------------------------------------

    @rule(
        owner=owners, amount=st.integers(20, 90), cost=st.integers(0, 99), life=lifetimes,
        priority=st.integers(-1, 1),
    )  # fmt: skip
    def purchase(
        self, owner: str, amount: int, cost: int, life: timedelta | None, priority: int
    ) -> None:
        if cost:
            self.act("post", [Leg(CLEARING, DEFERRED, cost, "fund", self.key())])
        self.act(
            "grant", owner, amount, key=self.key(), code="purchase", cost=cost,
            priority=priority, promotional=False, expires_at=life and self.now + life,
        )  # fmt: skip

    @rule(owner=owners, amount=amounts, life=lifetimes)
    def promotion(self, owner: str, amount: int, life: timedelta | None) -> None:
        self.act(
            "grant", owner, amount, key=self.key(), code="promotion", cost=0,
            priority=0, promotional=True, expires_at=life and self.now + life,
        )  # fmt: skip

    @rule(owner=owners, amount=amounts, code=st.sampled_from(["usage", "usage", "adjustment"]))
    def spend(self, owner: str, amount: int, code: str) -> None:
        self.act("spend", owner, amount, code=code, key=self.key())

    @rule(
        items=st.lists(
            st.tuples(owners, amounts, st.sampled_from([None, None, None, "debt", "accrued"])),
            min_size=1,
            max_size=4,
        ),
        twice=st.booleans(),
    )
    def spend_many(self, items: list[tuple[str, int, str | None]], twice: bool) -> None:
        batch = [
            Debit(owner, amount, "usage", self.key(), owed_on) for owner, amount, owed_on in items
        ]
        self.act("spend_many", batch + batch[:1] if twice else batch)

    @rule(owner=owners, amount=st.integers(1, 15))
    def claw_back(self, owner: str, amount: int) -> None:
        self.act("claw_back", owner, amount, key=self.key())

    @precondition(lambda self: self.debits())
    @rule(pick=picks, amount=picks)
    def unwind(self, pick: int, amount: int) -> None:
        """Up to one unit more than the debit has left."""
        debits = self.debits()
        original = debits[pick % len(debits)]
        left = sum(move.amount - move.given_back for move in self.oracle.acts[original].moves)
        self.act("unwind", original, 1 + amount % (left + 1), code="usage_refund", key=self.key())

    def debits(self) -> list[str]:
        kinds = ("debit", "capture", "claw_back")
        return [key for key, act in self.oracle.acts.items() if act.contents[0] in kinds]

    # -- holds -------------------------------------------------------------------------------

    @rule(
        owner=owners, amount=amounts, wait=lifetimes,
        code=st.sampled_from(["usage", "usage", "adjustment"]),
    )  # fmt: skip
    def reserve(self, owner: str, amount: int, wait: timedelta | None, code: str) -> None:
        self.act(
            "reserve", owner, amount, code=code, key=self.key(),
            deadline_at=wait and self.now + wait,
        )  # fmt: skip

    @precondition(lambda self: self.oracle.lots)
    @rule(pick=picks, amount=amounts)
    def pin(self, pick: int, amount: int) -> None:
        self.act("pin", pick % len(self.oracle.lots), amount, key=self.key())

    @precondition(lambda self: self.oracle.holds)
    @rule(pick=picks, amount=picks)
    def capture(self, pick: int, amount: int) -> None:
        """Up to one unit more than is held."""
        number = pick % len(self.oracle.holds)
        hold = self.oracle.holds[number]
        target = "revoked" if hold.code == "revoke" else "consumed"
        amount = 1 + amount % (hold.amount + 1)
        self.act("capture", number, amount, key=self.key(), target=target)

    @precondition(lambda self: self.oracle.holds)
    @rule(pick=picks)
    def release(self, pick: int) -> None:
        self.act("release", pick % len(self.oracle.holds))

    @precondition(lambda self: self.oracle.lots)
    @rule(pick=picks, amount=amounts, cost=st.integers(1, 99))
    def revoke(self, pick: int, amount: int, cost: int) -> None:
        """A refund as the house makes it: pin, capture as revoked, give the money back."""
        number = pick % len(self.oracle.lots)
        hold = self.act("pin", number, amount, key=self.key())
        if hold is not None:
            pinned = self.oracle.holds[hold].amount
            self.act("capture", hold, pinned, key=self.key(), target="revoked")
            self.act("refund_cost", number, cost, target="clearing:card", key=self.key())

    # -- money -------------------------------------------------------------------------------

    @precondition(lambda self: self.oracle.lots)
    @rule(pick=picks, amount=picks)
    def refund_cost(self, pick: int, amount: int) -> None:
        """Up to one cent more than the lot has left."""
        lot = self.oracle.lots[pick % len(self.oracle.lots)]
        amount = 1 + amount % (lot.cost - lot.refunded + 1)
        self.act("refund_cost", lot.number, amount, target="clearing:card", key=self.key())

    @precondition(lambda self: self.oracle.lots)
    @rule(pick=picks, amount=picks)
    def unrefund_cost(self, pick: int, amount: int) -> None:
        """Up to one cent more than left the lot."""
        lot = self.oracle.lots[pick % len(self.oracle.lots)]
        amount = 1 + amount % (lot.refunded + 1)
        self.act("unrefund_cost", lot.number, amount, source="clearing:card", key=self.key())

    @rule(owner=owners, sale=amounts, refund=st.integers(1, 60), may_owe=st.booleans())
    def sell_and_take_back(self, owner: str, sale: int, refund: int, may_owe: bool) -> None:
        creator: Account = ("creator", owner, "USD")
        debt: Account = ("creator_debt", owner, "USD")
        self.act(
            "post",
            [
                Leg(CLEARING, creator, sale, "share", self.key()),
                Leg(
                    creator,
                    CLEARING,
                    refund,
                    "refund",
                    self.key(),
                    shortfall=debt if may_owe else None,
                ),
            ],
        )

    @rule(owner=owners, amount=amounts, role=st.sampled_from(["creator_debt", "accrued"]))
    def settle(self, owner: str, amount: int, role: str) -> None:
        """What was owed is paid outside the wallet: an invoice, or netting before a payout."""
        code = "USD" if role == "creator_debt" else "CREDIT"
        source: Account = ("invoiced", None, code)
        self.act("post", [Leg(source, (role, owner, code), amount, "apply", self.key())])

    # -- caps --------------------------------------------------------------------------------

    @rule(
        owner=owners,
        cap=st.none() | st.integers(0, 150),
        days_ago=st.integers(0, 400),
        zone=st.sampled_from(ZONES),
    )
    def set_cap(self, owner: str, cap: int | None, days_ago: int, zone: str) -> None:
        anchor = self.now - timedelta(days=days_ago)
        self.act("set_cap", owner, cap, anchor_at=anchor, zone=zone)
