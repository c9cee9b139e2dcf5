"""Random interleavings: whatever happens and however its news arrives, the books agree in the end.

Stories run side by side over real HTTP, through view and worker. Their webhooks are kept back and
come permuted, twice, late or never; what never comes is found by reconciliation.

A failure names its seed; run it again with INTERLEAVINGS_SEED=<seed>.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest
import stripe
from django.db.models import Max

from billing.models import (
    Dispute,
    DisputeState,
    InboundEvent,
    Order,
    Payment,
    Refund,
    RefundState,
    Transfer,
)
from billing.money import share_half_even
from common import doorbell
from tests import live
from tests.end_to_end import books
from tests.end_to_end import till as tills
from tests.end_to_end.stories import Story, make_coupons
from tests.end_to_end.till import Till, wait_until

# Nobody acts on these, so most of them are left out to save time.
IDLE = ("payment_intent.created", "customer.created", "customer.updated", "product.created")
SENDERS = 4


@pytest.fixture(scope="module")
def storied_portal() -> Iterator[live.Portal]:
    """A portal whose sandbox keeps webhooks back and has promotion codes."""
    with live.Portal() as running:
        with tills.at(running) as till:
            make_coupons(till)
            till.control("deliveries/hold")
        yield running


def seeds(first: int, count: int) -> list[int]:
    """The seeds of so many batches, or the one that a developer wants to see again."""
    wanted = os.environ.get("INTERLEAVINGS_SEED")
    return [int(wanted)] if wanted else list(range(first, first + count))


@pytest.mark.parametrize("seed", seeds(1_000, 2))
def test_a_hundred_stories_end_with_equal_books(storied_portal: live.Portal, seed: int) -> None:
    with tills.at(storied_portal) as till:
        Batch(till, seed, size=50, longest=6).run()


@pytest.mark.prove
@pytest.mark.parametrize("seed", seeds(2_000, 20))
def test_two_thousand_stories_end_with_equal_books(storied_portal: live.Portal, seed: int) -> None:
    with tills.at(storied_portal) as till:
        Batch(till, seed, size=100, longest=10).run()


class Batch:
    """Stories that run side by side, and the post that brings their news as it pleases."""

    def __init__(self, till: Till, seed: int, *, size: int, longest: int) -> None:
        self.till = till
        self.seed = seed
        self.size = size
        self.longest = longest
        self.random = Random(seed)
        self.known: set[int] = {one["id"] for one in till.held()}
        self.waiting: list[dict[str, Any]] = []

    def run(self) -> None:
        """Tell the stories, bring the post, reconcile, and compare."""
        began = time.monotonic()
        seeds = range(self.seed * 1_000, self.seed * 1_000 + self.size)
        stories = [Story(self.till, seed, self.longest) for seed in seeds]
        try:
            self._tell(stories)
            told = time.monotonic()
            self._finish()
            print(self._summary(told - began, time.monotonic() - told))
            self._compare(stories)
        except BaseException:
            print(f"INTERLEAVINGS_SEED={self.seed}")
            for story in stories:
                print(story)
            raise

    def _tell(self, stories: list[Story]) -> None:
        untold = [story for story in stories for _ in range(story.steps)]
        self.random.shuffle(untold)
        with ThreadPoolExecutor(SENDERS) as post:
            for place, story in enumerate(untold):
                if place % 10 == 0:
                    outcomes = ["succeeded", "succeeded", "pending", "requires_action", "failed"]
                    outcome = self.random.choice(outcomes)
                    self.till.control("settings", refund_outcome=outcome)
                    self._fetch()
                    self._send(post, len(self.waiting) // 3)
                story.step()
            self._fetch()
            self._send(post, len(self.waiting))

    def _fetch(self) -> None:
        """Take new webhooks out of the sandbox's hands; some get lost on the way."""
        for delivery in self.till.held():
            if delivery["id"] in self.known:
                continue
            self.known.add(delivery["id"])
            lost = 0.95 if delivery["type"] in IDLE else 0.1
            if self.random.random() > lost:
                self.waiting.append(delivery)

    def _send(self, post: ThreadPoolExecutor, count: int) -> None:
        """Bring that many, in any order; some twice, and some stay behind to come again later."""
        self.random.shuffle(self.waiting)
        now, self.waiting = self.waiting[:count], self.waiting[count:]
        now += [one for one in now if self.random.random() < 0.15]
        self.waiting += [one for one in now if self.random.random() < 0.05 and self.waiting]
        assert set(post.map(self.till.deliver, now)) <= {200}

    def _finish(self) -> None:
        """Let the worker come to an end, then read the provider's books as beat does nightly."""
        self.till.settle_down()
        done = self._reconciliations()
        doorbell.ring("billing.reconcile_rails")
        wait_until(
            lambda: self._reconciliations() > done,
            lambda: books.differences(self.till),
            self.till.portal,
        )
        self.till.settle_down()

    def _reconciliations(self) -> int:
        log = self.till.portal.log("worker").splitlines()
        return sum("Task billing.reconcile_rails" in line and "succeeded" in line for line in log)

    def _summary(self, telling_seconds: float, finishing_seconds: float) -> str:
        refunds = Refund.objects.values_list("state", flat=True)
        disputes = Dispute.objects.values_list("state", flat=True)
        return (
            f"so far {InboundEvent.objects.count()} events, {Payment.objects.count()} payments, "
            f"refunds {dict(Counter(refunds))}, disputes {dict(Counter(disputes))}, most attempts "
            f"{InboundEvent.objects.aggregate(most=Max('attempts'))['most']}; "
            f"told in {telling_seconds:.0f} s, finished in {finishing_seconds:.0f} s"
        )

    def _compare(self, stories: list[Story]) -> None:
        books.assert_agree(self.till)
        for story in stories:
            assert_units_follow_money(self.till, story)


def assert_units_follow_money(till: Till, story: Story) -> None:
    """Credits that are gone are those whose money is gone, and nobody owes while they have."""
    for payment in Payment.objects.filter(customer=story.customer).select_related("order"):
        refunds, disputes = payment.refunds.all(), payment.disputes.filter(is_frozen=True)
        frozen = sum(one.frozen_minor for one in disputes)
        assert payment.refunding_minor - frozen == sum(
            one.amount_minor for one in refunds if one.state != RefundState.FAILED
        ), story
        succeeded = [one for one in refunds if one.state == RefundState.SUCCEEDED]
        assert payment.refunded_minor - frozen == sum(one.amount_minor for one in succeeded), story
        if payment.order is not None:
            assert payment.order.delivered_at is not None, story
            lost = [one for one in disputes if one.state == DisputeState.LOST]
            expected = share_half_even(
                payment.order.snapshot["credits_minor"],
                sum(one.amount_minor - one.tax_minor for one in succeeded)
                + sum(one.frozen_minor - one.frozen_tax_minor for one in lost),
                payment.order.net.amount_minor,
            )
            # Parts that came back out of order may each leave one smallest unit.
            assert abs(revoked_minor(payment) - expected) <= len(refunds) + len(disputes), story
    for order in Order.objects.filter(customer=story.customer):
        if order.external_id and is_through(order.external_id):
            assert order.delivered_at is not None, story
    assert not (till.owed(story.customer) and till.spendable(story.customer)), story


def is_through(session_id: str) -> bool:
    """Whether the order's own session is paid, or free."""
    session = stripe.checkout.Session.retrieve(session_id)
    return session.status == "complete" and session.payment_status != "unpaid"


def revoked_minor(payment: Payment) -> int:
    """Units that refunds and disputes of the payment took, less what came back."""
    groups = [f"refund:{refund.pk}" for refund in payment.refunds.all()]
    groups += [f"dispute:{dispute.pk}" for dispute in payment.disputes.all()]
    moved = Transfer.objects.filter(group__in=groups)
    taken = moved.filter(target__role="revoked").values_list("amount_minor", flat=True)
    returned = moved.filter(source__role="revoked").values_list("amount_minor", flat=True)
    return sum(taken) - sum(returned)
