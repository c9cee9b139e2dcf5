"""And every act again: the same key with the same contents, with others, for another act."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import precondition, rule

from tests.ledger.books import Debit, Leg
from tests.ledger.machine import CLEARING, DEFERRED, ActsMachine, amounts, owners, picks
from tests.ledger.variants import other_contents


class LedgerMachine(ActsMachine):
    """A known key moves nothing, whatever comes with it."""

    def keyed(self) -> list[tuple[str, tuple[Any, ...], dict[str, Any], object]]:
        return [done for done in self.history if "key" in done[2] or done[0] == "post"]

    @precondition(lambda self: self.keyed())
    @rule(pick=picks)
    def again(self, pick: int) -> None:
        """The same act, later: the first result, and nothing moves."""
        done = self.keyed()
        name, args, kwargs, first = done[pick % len(done)]
        moves = len(self.oracle.moves)
        if first is None:
            return
        self.act(name, *args, **kwargs)
        assert self.history[-1][-1] == first
        assert len(self.oracle.moves) == moves

    @precondition(lambda self: any(done[0] == "spend_many" for done in self.history))
    @rule(pick=picks)
    def batch_again(self, pick: int) -> None:
        batches = [done for done in self.history if done[0] == "spend_many"]
        self.act("spend_many", *batches[pick % len(batches)][1])

    @precondition(lambda self: self.history)
    @rule(pick=picks, variant=picks)
    def same_key_other_contents(self, pick: int, variant: int) -> None:
        name, args, kwargs, first = self.history[pick % len(self.history)]
        changed = other_contents(
            name,
            args,
            kwargs,
            variant,
            lots=len(self.oracle.lots),
            holds=len(self.oracle.holds),
        )
        if changed is None or first is None:
            return
        moves = len(self.oracle.moves)
        args, kwargs = changed
        self.act(name, *args, **kwargs)
        assert len(self.oracle.moves) == moves

    @precondition(lambda self: self.debits() and self.oracle.lots)
    @rule(pick=picks, owner=owners, amount=amounts, kind=st.integers(0, 5))
    def key_of_another_act(self, pick: int, owner: str, amount: int, kind: int) -> None:
        known = [key for key in self.oracle.acts if not key.startswith("hold:")]
        key = known[pick % len(known)]
        moves = len(self.oracle.moves)
        taken = self.oracle.acts[key].contents[0]
        if kind == 0 and taken != "debit":
            self.act("spend", owner, amount, code="usage", key=key)
        if kind == 1 and taken != "debit":
            self.act("spend_many", [Debit(owner, amount, "usage", key, "debt")])
        if kind == 2 and taken != "claw_back":
            self.act("claw_back", owner, amount, key=key)
        if kind == 3 and taken != "unwind":
            self.act("unwind", self.debits()[0], amount, code="usage_refund", key=key)
        if kind == 4 and taken != "refund_cost":
            self.act("refund_cost", pick % len(self.oracle.lots), amount, target="x", key=key)
        if kind == 5 and taken != "leg":
            self.act("post", [Leg(CLEARING, DEFERRED, amount, "fund", key)])
        assert len(self.oracle.moves) == moves
