"""Numbers without gaps, however many give them out at once and however often one is rolled back."""

from __future__ import annotations

import queue
import threading
from random import Random
from uuid import UUID

import pytest
from django.db import connections, transaction

from billing.models import Email, Invoice, InvoiceSeries, Order, OrderStatus, Payment
from billing.services import invoice_drafts, invoices
from common import clock, ids
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW, make_customer, make_order

pytestmark = pytest.mark.django_db(transaction=True)

INVOICES, ROLLBACKS, THREADS = 1_000, 200, 16


@pytest.fixture(autouse=True)
def _rail() -> object:
    with only_rail(FakeRail()):
        yield


class RolledBack(Exception):
    """What a crash between the number and the commit does."""


class Numbering:
    """Threads that number the same drafts; some fail after they took a number."""

    def __init__(self, drafts: list[UUID], to_fail: set[UUID]) -> None:
        self.to_fail = to_fail
        self.rolled_back = 0
        self.errors: list[BaseException] = []
        self._work: queue.SimpleQueue[UUID] = queue.SimpleQueue()
        self._count = threading.Lock()
        for draft in drafts:
            self._work.put(draft)

    def run(self, threads: int) -> None:
        workers = [threading.Thread(target=self._until_empty) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _until_empty(self) -> None:
        try:
            while True:
                self._number(self._work.get_nowait())
        except queue.Empty:
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            connections.close_all()

    def _number(self, draft: UUID) -> None:
        if draft in self.to_fail:
            self._fail(draft)
        invoices.issue(draft)

    def _fail(self, draft: UUID) -> None:
        try:
            with transaction.atomic():
                if not invoices.issue(draft):  # another thread was first
                    return
                raise RolledBack
        except RolledBack:
            with self._count:
                self.rolled_back += 1


def drafted(count: int) -> list[UUID]:
    """Drafts of that many paid orders."""
    order = make_order(customer=make_customer(), status=OrderStatus.PAID, paid_at=NOW)
    fields = {one.attname: getattr(order, one.attname) for one in Order._meta.concrete_fields}
    made = Order.objects.bulk_create(Order(**(fields | {"id": ids.uuid7()})) for _ in range(count))
    Payment.objects.bulk_create(
        Payment(
            rail="card",
            external_id=f"pi_many_{one.pk}",
            customer_id=one.customer_id,
            order=one,
            asset=one.asset,
            amount_minor=one.subtotal_minor,
            occurred_at=NOW,
        )
        for one in made
    )
    invoice_drafts.draft_missing(count)
    return list(Invoice.objects.order_by("pk").values_list("pk", flat=True))


def test_a_thousand_by_sixteen_threads_with_two_hundred_rollbacks_leave_no_gap() -> None:
    drafts = drafted(INVOICES)
    random = Random(4)
    to_fail = set(random.sample(drafts, ROLLBACKS))
    # A tenth comes twice: two workers that were rung for the same.
    work = drafts + random.sample([one for one in drafts if one not in to_fail], INVOICES // 10)
    random.shuffle(work)
    numbering = Numbering(work, to_fail)

    numbering.run(THREADS)

    assert numbering.errors == []
    assert numbering.rolled_back == ROLLBACKS
    numbers = Invoice.objects.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, INVOICES + 1))
    assert InvoiceSeries.objects.get().last_number == INVOICES
    assert Email.objects.filter(kind="invoice").count() == INVOICES


def test_workers_that_take_all_that_is_due_at_once_leave_no_gap() -> None:
    count = 60
    drafted(count)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while invoices.issue_due(20):
                pass
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    invoices.issue_due()

    assert errors == []
    numbers = Invoice.objects.order_by("number").values_list("number", flat=True)
    assert list(numbers) == list(range(1, count + 1))


def test_each_year_and_kind_counts_for_itself() -> None:
    first, second = drafted(2)
    with clock.frozen(NOW):
        invoices.issue(first)
    with clock.frozen(NOW.replace(year=NOW.year + 1)):
        invoices.issue(second)

    names = [one.name for one in Invoice.objects.order_by("pk")]
    assert names == ["INV-2026-000001", "INV-2027-000001"]
