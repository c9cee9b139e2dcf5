"""SIGKILL of the worker at awkward moments: nothing is lost, nothing happens twice.

The test holds a lock, sees the worker wait for it, kills the worker with all its processes, lets
go, and starts another. What was begun is found by the sweeper once its lease is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from billing.models import EventState, InboundEvent, Lot, Order, Payment, Refund, RefundState
from billing.money import CREDIT
from billing.services import refunds
from common import clock
from tests import live
from tests.end_to_end import books
from tests.end_to_end import till as tills
from tests.end_to_end.till import Till, wait_until

PACK = 2_500 * CREDIT.unit_minor


@pytest.fixture(scope="module")
def short_leased_portal() -> Iterator[live.Portal]:
    """A portal that takes a silent worker for dead after a second."""
    with live.Portal(env={"INBOX_LEASE_SECONDS": "1"}) as running:
        yield running


@pytest.fixture
def scene(short_leased_portal: live.Portal) -> Iterator[Scene]:
    """An order, and webhooks that come when the test says so."""
    with tills.at(short_leased_portal) as till:
        order = till.order()
        till.settle_down()
        with till.holding():
            yield Scene(till, order)
        till.control("settings", refund_outcome="succeeded", balance_delay_seconds=0)


@dataclass
class Scene:
    """One customer's order, and a worker that is about to die over it."""

    till: Till
    order: Order
    kills: int = 0

    def paid(self, **how: Any) -> dict[str, Any]:
        """Pay the order; its webhook, which is kept back."""
        self.till.pay(self.order.external_id, **how)
        return self.held("checkout.session.completed", self.order.external_id)

    def held(self, kind: str, about: str) -> dict[str, Any]:
        """The newest webhook of that kind about that object."""
        return self.till.held(type=kind, object=about)[-1]

    def bought(self) -> Payment:
        """The order paid, handled and delivered."""
        self.till.deliver(self.paid())
        self.till.settle_down()
        return Payment.objects.get(order=self.order)

    def kill_at(self, lock: str, parameters: list[Any], act: Callable[[], Any]) -> None:
        """Take a lock, act, see the worker wait for the lock, and kill it there."""
        with self.locked(lock, parameters) as holder:
            act()
            self.kill_waiting_for(holder)

    @contextmanager
    def locked(self, lock: str, parameters: list[Any]) -> Iterator[psycopg.Connection[Any]]:
        """Hold a lock in a transaction of its own."""
        with self.till.portal.connect() as holder:
            holder.autocommit = False
            holder.execute(lock, parameters)
            try:
                yield holder
            finally:
                holder.rollback()

    def kill_waiting_for(self, holder: psycopg.Connection[Any]) -> None:
        """SIGKILL the worker once it waits for the holder's lock, and start another."""
        waiting = self.await_waiting_for(holder)
        self.till.portal.kill("worker")
        try:
            self.kills += 1
            # The server was not told that its client is dead, and would finish the statement.
            with self.till.portal.connect() as other:
                for pid in waiting:
                    other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
            holder.rollback()
        finally:
            self.till.portal.start("worker")

    def await_waiting_for(self, holder: psycopg.Connection[Any]) -> list[int]:
        """Wait for sessions that wait for a lock of the holder's; their server processes."""
        waiting: list[int] = []

        def someone_waits() -> bool:
            with self.till.portal.connect() as watcher:
                rows = watcher.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock' AND %s = ANY(pg_blocking_pids(pid))",
                    [holder.info.backend_pid],
                )
                waiting[:] = [pid for (pid,) in rows.fetchall()]
            return bool(waiting)

        wait_until(someone_waits, lambda: "nobody waits for the lock", self.till.portal)
        return waiting


def row(table: str) -> str:
    """A lock on one row, by its id."""
    return f"SELECT FROM {table} WHERE id = %s FOR UPDATE"


def whole(table: str) -> str:
    """A lock on a table that lets others read it."""
    return f"LOCK TABLE {table} IN EXCLUSIVE MODE"


def before_the_claim(scene: Scene) -> None:
    delivery = scene.paid()
    scene.till.portal.stop("worker")
    scene.till.deliver(delivery)
    scene.kill_at(whole("billing_inboundevent"), [], lambda: scene.till.portal.start("worker"))
    assert_bought_once(scene)


def after_the_claim_in_the_mirror(scene: Scene) -> None:
    delivery = scene.paid()
    scene.kill_at(whole("djstripe_event"), [], lambda: scene.till.deliver(delivery))
    assert InboundEvent.objects.get(external_id=delivery["event"]).attempts == 1
    assert_bought_once(scene)


def before_the_payment(scene: Scene) -> None:
    delivery = scene.paid()
    scene.kill_at(whole("billing_payment"), [], lambda: scene.till.deliver(delivery))
    assert_bought_once(scene)


def between_payment_and_order(scene: Scene) -> None:
    delivery = scene.paid(tax_minor=99)
    scene.kill_at(row("billing_order"), [scene.order.pk], lambda: scene.till.deliver(delivery))
    assert not Payment.objects.filter(order=scene.order).exists()
    assert_bought_once(scene)


def between_money_and_credits(scene: Scene) -> None:
    wallet = scene.till.wallet(scene.order.customer)
    delivery = scene.paid()
    scene.kill_at(row("billing_ledgeraccount"), [wallet.pk], lambda: scene.till.deliver(delivery))
    assert_bought_once(scene)


def after_the_commit_before_the_end(scene: Scene) -> None:
    delivery = scene.paid()
    with scene.locked(row("billing_order"), [scene.order.pk]) as before:
        scene.till.deliver(delivery)
        scene.await_waiting_for(before)
        event = InboundEvent.objects.get(external_id=delivery["event"])
        with scene.locked(row("billing_inboundevent"), [event.pk]) as after:
            before.rollback()
            scene.kill_waiting_for(after)
    event.refresh_from_db()
    assert event.state == EventState.NEW
    assert Payment.objects.filter(order=scene.order).exists()
    assert_bought_once(scene)


def at_the_fee(scene: Scene) -> None:
    scene.till.control("settings", balance_delay_seconds=-1)
    payment = scene.bought()
    assert payment.fee_minor is None
    charges = scene.till.portal.sandbox("GET", "/_sandbox/books")["stripe"]["charges"]
    [charge] = [one["id"] for one in charges if one["payment_intent"] == payment.external_id]
    scene.till.control(f"charges/{charge}/settle")
    delivery = scene.held("charge.updated", charge)
    scene.kill_at(row("billing_payment"), [payment.pk], lambda: scene.till.deliver(delivery))
    assert_bought_once(scene)


def in_money_that_fits_nothing(scene: Scene) -> None:
    scene.bought()
    wallet = scene.till.wallet(scene.order.customer)
    again = scene.till.another_session(scene.order)
    scene.till.pay(again)
    delivery = scene.held("checkout.session.completed", again)
    scene.kill_at(row("billing_ledgeraccount"), [wallet.pk], lambda: scene.till.deliver(delivery))
    finish(scene)
    assert scene.till.spendable(scene.order.customer) == 2 * PACK


def after_stripe_made_the_refund(scene: Scene) -> None:
    payment = scene.bought()
    # The request itself needs the payment's row, so the lock comes when Stripe is about to answer.
    scene.till.control(
        "faults", kind="api", method="POST", path="/v1/refunds", answer="ok", delay_seconds=1.5
    )
    refund = refunds.request(payment.pk, reason="a test")
    scene.kill_at(row("billing_payment"), [payment.pk], lambda: None)
    refund.refresh_from_db()
    assert (refund.state, refund.attempts) == (RefundState.REQUESTED, 1)
    # Its lease is longer than a test has patience for.
    Refund.objects.filter(pk=refund.pk).update(next_attempt_at=clock.now())
    assert_refunded_once(scene, refund)
    assert refund.attempts == 2


def in_the_confirmation_of_a_refund(scene: Scene) -> None:
    payment = scene.bought()
    refund, delivery = awaited_refund(scene, payment)
    scene.kill_at(row("billing_payment"), [payment.pk], lambda: scene.till.deliver(delivery))
    assert_refunded_once(scene, refund)


def in_the_booking_of_a_refund(scene: Scene) -> None:
    payment = scene.bought()
    refund, delivery = awaited_refund(scene, payment)
    wallet = scene.till.wallet(scene.order.customer)
    scene.kill_at(row("billing_ledgeraccount"), [wallet.pk], lambda: scene.till.deliver(delivery))
    assert_refunded_once(scene, refund)


def awaited_refund(scene: Scene, payment: Payment) -> tuple[Refund, dict[str, Any]]:
    """A refund that the provider took its time for, and the webhook that says it succeeded."""
    scene.till.control("settings", refund_outcome="pending")
    refund = scene.till.refund(payment)
    assert refund.state == RefundState.SENT
    scene.till.control(f"refunds/{refund.external_id}/settle", outcome="succeeded")
    return refund, scene.held("refund.updated", str(refund.external_id))


def finish(scene: Scene) -> None:
    """Let the sweeper and every other webhook do their work, and compare the books."""
    scene.till.settle_down()
    scene.till.control("deliveries/release")
    scene.till.settle_down()
    books.assert_agree(scene.till)
    assert scene.kills == 1


def assert_bought_once(scene: Scene) -> None:
    finish(scene)
    scene.order.refresh_from_db()
    assert scene.order.delivered_at is not None
    assert Payment.objects.filter(order=scene.order).count() == 1
    assert Lot.objects.filter(origin=f"order:{scene.order.pk}").count() == 1
    assert scene.till.spendable(scene.order.customer) == PACK


def assert_refunded_once(scene: Scene, refund: Refund) -> None:
    finish(scene)
    refund.refresh_from_db()
    assert refund.state == RefundState.SUCCEEDED
    assert scene.till.spendable(scene.order.customer) == 0
    assert scene.till.owed(scene.order.customer) == 0
    charges = scene.till.portal.sandbox("GET", "/_sandbox/books")["stripe"]["refunds"]
    made = [one for one in charges if one["payment_intent"] == refund.payment.external_id]
    assert [one["amount"] for one in made] == [5_00]


QUICK = [
    after_the_claim_in_the_mirror,
    between_payment_and_order,
    between_money_and_credits,
    after_the_commit_before_the_end,
    after_stripe_made_the_refund,
    in_the_booking_of_a_refund,
]
OTHERS = [
    before_the_claim,
    before_the_payment,
    at_the_fee,
    in_money_that_fits_nothing,
    in_the_confirmation_of_a_refund,
]


@pytest.mark.parametrize("point", QUICK, ids=lambda point: point.__name__)
def test_a_worker_killed(scene: Scene, point: Callable[[Scene], None]) -> None:
    point(scene)


@pytest.mark.prove
@pytest.mark.parametrize("repeat", range(2))
@pytest.mark.parametrize("point", QUICK + OTHERS, ids=lambda point: point.__name__)
def test_a_worker_killed_again(scene: Scene, point: Callable[[Scene], None], repeat: int) -> None:
    point(scene)
