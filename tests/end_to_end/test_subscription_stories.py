"""Cards that fail, banks that claim, staff that refund: the books agree whatever befalls plans.

Stories run side by side on the clock of one sandbox (see ``desk.py``): what it tells comes out of
order, twice, late or never, and is handled by several hands at once; what never came is found by
reconciliation. On the way it is asked again and again who should have access.

A failure names its seed; run it again with SUBSCRIPTION_SEED=<seed>.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from billing.models import Dispute, Payment, Refund, Subscription
from billing.services import reconciliations
from common import clock
from tests.end_to_end import access_oracle, books, desk
from tests.end_to_end.desk import Desk
from tests.end_to_end.stories import make_coupons
from tests.end_to_end.subscription_stories import SubscriptionStory

REFUND_OUTCOMES = ("succeeded", "succeeded", "pending", "requires_action", "failed")
AFTER_RETRIES = ("canceled", "unpaid", "past_due")


def seeds(first: int, count: int) -> list[int]:
    """The seeds of so many batches, or the one that a developer wants to see again."""
    wanted = os.environ.get("SUBSCRIPTION_SEED")
    return [int(wanted)] if wanted else list(range(first, first + count))


@pytest.mark.parametrize("seed", seeds(100, 2))
def test_a_dozen_subscribers_end_with_equal_books(seed: int) -> None:
    with desk.opened(seed, hands=3) as opened:
        Batch(opened, seed, size=12, rounds=16).run()


@pytest.mark.prove
@pytest.mark.parametrize("seed", seeds(1_000, 20))
def test_two_hundred_subscribers_end_with_equal_books(seed: int) -> None:
    with desk.opened(seed, hands=3) as opened:
        Batch(opened, seed, size=12, rounds=30).run()


class Batch:
    """Stories side by side, and the time that passes for all of them."""

    def __init__(self, opened: Desk, seed: int, *, size: int, rounds: int) -> None:
        self.desk = opened
        self.seed = seed
        self.random = Random(seed)
        self.rounds = rounds
        self.began_at = clock.now()
        make_coupons(opened.till)
        self.stories = [SubscriptionStory(opened, seed * 1_000 + one) for one in range(size)]
        self._set(after_retries=self.random.choice(AFTER_RETRIES))

    def run(self) -> None:
        """Tell the stories, let time and news come, reconcile, and compare."""
        began = time.monotonic()
        try:
            for _ in range(self.rounds):
                self._round()
            self._finish()
            self._compare()
        except BaseException:
            print(f"SUBSCRIPTION_SEED={self.seed}")
            for story in self.stories:
                print(story)
            raise
        finally:
            print(self._summary(time.monotonic() - began))

    def _round(self) -> None:
        """Some days, then an act of most customers; the news may come before or after."""
        self._set(refund_outcome=self.random.choice(REFUND_OUTCOMES))
        self.desk.wait_until(clock.now() + timedelta(seconds=self.random.randint(60, 12 * 86_400)))
        self.desk.bring()
        self.desk.work()
        for story in self.random.sample(self.stories, len(self.stories) * 3 // 4):
            story.step()

    def _finish(self) -> None:
        """Whatever was lost is found; nothing is left to do."""
        for _ in range(3):
            self.desk.bring(orderly=True)
            reconciliations.run("card", self.began_at)
            self.desk.work()
            self.desk.wait_until(clock.now() + timedelta(hours=5))
        self.desk.bring(orderly=True)
        assert self.desk.till.unfinished() == []

    def _compare(self) -> None:
        books.assert_agree_on_plans(self.desk.till)
        found = list(access_oracle.mistakes(books.of_sandbox(self.desk.till)))
        assert found == [], "\n".join(found)

    def _set(self, **settings: Any) -> None:
        self.desk.till.control("settings", **settings)

    def _summary(self, seconds: float) -> str:
        states = {
            "subscriptions": Subscription.objects.values_list("status", flat=True),
            "refunds": Refund.objects.values_list("state", flat=True),
            "disputes": Dispute.objects.values_list("state", flat=True),
        }
        counted = {name: dict(Counter(found)) for name, found in states.items()}
        return f"{Payment.objects.count()} payments, {counted} in {seconds:.0f} s"
