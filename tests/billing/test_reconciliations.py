"""Reconciliations: kept with what they found, repaired on the way or by staff, looked at again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection, connections

from accounts.models import User
from billing import tasks
from billing.errors import IdempotencyMismatch
from billing.models import (
    ItemState,
    Payment,
    ReconciliationItem,
    ReconciliationRun,
    RunOutcome,
    StaffAction,
)
from billing.money import USD
from billing.selectors import audit
from billing.services import corrections, reconciliations
from billing.services.rails import Finding, Repair
from billing.services.staff import Note
from common import clock
from common.errors import Conflict, InvalidInput
from tests.accounts.factories import make_staff
from tests.billing.callers import Bell
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import make_customer, make_payment

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def clerk() -> User:
    """Somebody who may repair."""
    return make_staff()


def differ(rail: FakeRail, subject: str, *, is_safe: bool = True, remedy: str = "Do it.") -> Repair:
    """A difference that repairing ends."""
    finding = Finding(
        "payment_missing", subject, "Nobody told us.", ours="", theirs="$5.00", is_safe=is_safe,
        remedy=remedy, advice="" if remedy else "Ask the provider.",
    )  # fmt: skip
    made = Repair(finding, (lambda: rail.differences.remove(made)) if remedy else None)
    rail.differences.append(made)
    return made


def run(repair: reconciliations.Mode = "safe") -> ReconciliationRun:
    """A run over the last day until now."""
    return reconciliations.run("card", clock.now() - DAY, repair=repair)


def states(found: ReconciliationRun) -> list[tuple[str, str]]:
    return list(found.items.order_by("pk").values_list("subject", "state"))


def note(clerk: User, key: str = "k1", reason: str = "looked at it") -> Note:
    return Note(clerk, reason, key)


def test_a_run_that_finds_nothing_is_clean(rail: FakeRail) -> None:
    found = run()

    assert (found.outcome, found.found_count, found.left_count) == (RunOutcome.CLEAN, 0, 0)
    assert found.started_at is not None
    assert found.finished_at is not None


def test_what_is_safe_is_repaired_and_the_rest_waits(rail: FakeRail) -> None:
    differ(rail, "pi_1")
    differ(rail, "pi_2", is_safe=False)
    differ(rail, "pi_3", is_safe=False, remedy="")

    found = run()

    assert found.outcome == RunOutcome.DIFFERENCES
    assert states(found) == [("pi_1", "repaired"), ("pi_2", "left"), ("pi_3", "left")]
    assert (found.compared_count, found.found_count) == (3, 3)
    assert (found.repaired_count, found.left_count) == (1, 2)


def test_naming_only_repairs_nothing(rail: FakeRail) -> None:
    differ(rail, "pi_1")

    found = run("none")

    assert states(found) == [("pi_1", "found")]
    assert len(rail.differences) == 1


def test_one_repair_that_crashes_leaves_its_item_and_not_the_others(rail: FakeRail) -> None:
    def crash() -> None:
        make_customer(email="half@example.com")
        raise RuntimeError("disk full")

    rail.differences.append(Repair(differ(rail, "pi_1").finding, crash))
    rail.differences.pop(0)
    differ(rail, "pi_2")

    found = run()

    assert states(found) == [("pi_1", "left"), ("pi_2", "repaired")]
    assert found.items.get(subject="pi_1").note == "RuntimeError: disk full"
    assert not type(make_customer()).objects.filter(email="half@example.com").exists()


def test_a_repair_that_does_not_help_is_not_called_one(rail: FakeRail) -> None:
    rail.differences.append(Repair(differ(rail, "pi_1").finding, lambda: None))
    rail.differences.pop(0)

    found = run()

    assert states(found) == [("pi_1", "left")]
    assert "still differs" in found.items.get().note


def test_a_provider_that_goes_away_ends_the_run_with_what_it_had_named(rail: FakeRail) -> None:
    differ(rail, "pi_1", is_safe=False)
    gone = Repair(differ(rail, "pi_2").finding, lambda: setattr(rail, "down", True))
    rail.differences[1] = gone
    differ(rail, "pi_3")

    found = run()

    assert found.outcome == RunOutcome.UNREACHABLE
    assert "cannot be reached" in found.note
    assert [subject for subject, _ in states(found)] == ["pi_1", "pi_2"]
    assert found.left_count == 1


def test_a_crash_while_reading_ends_the_run_and_says_so(
    rail: FakeRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> Iterator[Finding]:
        raise KeyError("balance")

    monkeypatch.setattr(rail, "reconcile", crash)

    found = run()

    assert (found.outcome, found.note) == (RunOutcome.FAILED, "KeyError: 'balance'")


def test_what_an_earlier_run_left_is_looked_at_again(rail: FakeRail) -> None:
    differ(rail, "pi_old", is_safe=False)
    gone = differ(rail, "pi_gone", is_safe=False)
    first = run()
    rail.differences.remove(gone)
    old = rail.differences.pop()
    rail.hidden.append(old)  # too long ago to be listed

    second = run()

    assert states(first) == [("pi_old", "gone"), ("pi_gone", "gone")]
    assert states(second) == [("pi_old", "left")]
    first.refresh_from_db()
    assert (first.left_count, second.left_count) == (0, 1)


def test_a_run_over_days_that_are_over_leaves_other_days_alone(rail: FakeRail) -> None:
    differ(rail, "pi_1", is_safe=False)
    first = run()
    rail.differences.clear()
    now = clock.now()

    second = reconciliations.run("card", now - 3 * DAY, now - 2 * DAY)

    assert second.outcome == RunOutcome.CLEAN
    assert rail.asked_for == (now - 3 * DAY, now - 2 * DAY)
    assert states(first) == [("pi_1", "left")]


def test_a_difference_is_open_in_its_newest_run_only(rail: FakeRail) -> None:
    differ(rail, "pi_1", is_safe=False)

    first, second = run(), run()

    assert (states(first), states(second)) == ([("pi_1", "gone")], [("pi_1", "left")])


def test_the_balance_is_compared_when_nothing_else_differs(rail: FakeRail) -> None:
    finding = Finding("balance_differs", "USD", "Sums.", is_safe=False, remedy="Book it.")
    rail.balance = Repair(finding, lambda: setattr(rail, "balance", None))
    differ(rail, "pi_1", is_safe=False)

    with_items = run()
    rail.differences.clear()
    alone = run()
    rail.balance = None
    after = run()

    assert [one.kind for one in with_items.items.all()] == ["payment_missing"]
    assert [one.kind for one in alone.items.all()] == ["balance_differs"]
    assert after.outcome == RunOutcome.CLEAN
    assert not ReconciliationItem.objects.filter(state=ItemState.LEFT).exists()


@pytest.mark.parametrize("days", [(0, 0), (1, 2), (400, 0)])
def test_a_time_that_is_none_is_refused(days: tuple[int, int]) -> None:
    now = clock.now()

    with pytest.raises(InvalidInput):
        reconciliations.run("card", now - days[0] * DAY, now - days[1] * DAY)

    assert not ReconciliationRun.objects.exists()


def test_a_run_whose_process_died_is_ended_by_the_next(rail: FakeRail) -> None:
    now = clock.now()
    dead = ReconciliationRun.objects.create(
        rail="card", since=now - DAY, until=now, outcome="running", started_at=now
    )

    run()

    dead.refresh_from_db()
    assert dead.outcome == RunOutcome.FAILED
    assert "ended before it did" in dead.note


@pytest.mark.django_db(transaction=True)
def test_two_runs_of_one_rail_do_not_meet(rail: FakeRail) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            run()
        except Conflict as refusal:
            refused.append(str(refusal))
        finally:
            connections.close_all()

    def in_the_middle() -> None:
        other = threading.Thread(target=second)
        other.start()
        other.join()

    rail.differences.append(Repair(differ(rail, "pi_1").finding, in_the_middle))
    rail.differences.pop(0)

    run()

    assert len(refused) == 1
    assert ReconciliationRun.objects.count() == 1
    rail.differences.clear()
    assert run().outcome == RunOutcome.CLEAN


# -- staff ----------------------------------------------------------------------------------------


def test_staff_repairs_one_with_a_reason_once(rail: FakeRail, clerk: User) -> None:
    differ(rail, "pi_1", is_safe=False)
    found = run()
    item = found.items.get()

    for _ in range(2):
        action = reconciliations.repair(note(clerk), item)

    item.refresh_from_db()
    found.refresh_from_db()
    assert StaffAction.objects.get() == action
    assert (action.act, action.reason) == ("repair_difference", "looked at it")
    assert action.subject == f"difference:{item.pk}"
    assert action.detail["done"] == "Do it."
    assert (item.state, found.left_count) == (ItemState.REPAIRED, 0)
    assert item.note == f"{clerk}: looked at it"


def test_without_a_reason_nothing_is_repaired(rail: FakeRail, clerk: User) -> None:
    differ(rail, "pi_1", is_safe=False)
    item = run().items.get()

    with pytest.raises(InvalidInput):
        reconciliations.repair(note(clerk, reason=" "), item)

    assert len(rail.differences) == 1
    assert not StaffAction.objects.exists()


def test_a_key_that_comes_back_for_another_item_is_refused(rail: FakeRail, clerk: User) -> None:
    differ(rail, "pi_1", is_safe=False)
    differ(rail, "pi_2", is_safe=False)
    one, other = run().items.order_by("subject")
    reconciliations.repair(note(clerk), one)

    with pytest.raises(IdempotencyMismatch):
        reconciliations.repair(note(clerk), other)


def test_what_cannot_be_repaired_here_says_what_to_do(rail: FakeRail, clerk: User) -> None:
    differ(rail, "pi_1", is_safe=False, remedy="")
    item = run().items.get()

    with pytest.raises(Conflict, match=r"Ask the provider\."):
        reconciliations.repair(note(clerk), item)


def test_what_does_not_differ_any_more_is_closed(rail: FakeRail, clerk: User) -> None:
    differ(rail, "pi_1", is_safe=False)
    item = run().items.get()
    rail.differences.clear()

    reconciliations.repair(note(clerk), item)

    item.refresh_from_db()
    assert item.state == ItemState.GONE
    with pytest.raises(Conflict, match="Nothing is left"):
        reconciliations.repair(note(clerk, "k2"), item)


def test_a_repair_that_fails_leaves_nothing_and_no_log(rail: FakeRail, clerk: User) -> None:
    def crash() -> None:
        make_payment()
        raise RuntimeError("disk full")

    rail.differences.append(Repair(differ(rail, "pi_1", is_safe=False).finding, crash))
    rail.differences.pop(0)
    item = run().items.get()

    with pytest.raises(Conflict, match="disk full"):
        reconciliations.repair(note(clerk), item)

    item.refresh_from_db()
    assert item.state == ItemState.LEFT
    assert not Payment.objects.exists()
    assert not StaffAction.objects.exists()


def test_a_preview_says_what_would_be_booked_and_books_nothing(rail: FakeRail) -> None:
    payment = make_payment()
    rail.differences.append(
        Repair(differ(rail, "pi_1", is_safe=False).finding, lambda: correct(payment, 1_00, 0))
    )
    rail.differences.pop(0)
    item = run().items.get()

    found, transfers = reconciliations.preview(item)

    assert found is not None
    assert [(one.source.role, one.target.role, one.amount_minor) for one in transfers] == [
        ("unreconciled:card", "clearing:card", 1_00)
    ]
    assert corrections.totals("card", [payment.external_id]) == {}


def test_a_run_that_was_asked_for_is_carried_out_by_a_worker(
    rail: FakeRail, clerk: User, bell: Bell, django_capture_on_commit_callbacks: object
) -> None:
    differ(rail, "pi_1")
    since = clock.now() - DAY
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        for _ in range(2):
            reconciliations.ask(note(clerk), "card", since, None, repair="safe")
    asked = ReconciliationRun.objects.get()
    assert (asked.outcome, asked.started_by) == (RunOutcome.WAITING, clerk)
    assert bell.rung() == [(reconciliations.RUN_TASK, [str(asked.pk)])]

    for _ in range(2):
        tasks.run_reconciliation(str(asked.pk))

    asked.refresh_from_db()
    assert asked.outcome == RunOutcome.DIFFERENCES
    assert states(asked) == [("pi_1", "repaired")]
    assert StaffAction.objects.get().act == "reconcile"


def test_a_run_nobody_was_rung_for_is_found_by_the_sweep(clerk: User) -> None:
    reconciliations.ask(note(clerk), "card", clock.now() - DAY, None, repair="none")
    asked = ReconciliationRun.objects.get()
    assert reconciliations.waiting_ids() == []

    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_reconciliationrun SET asked_at = asked_at - interval '1 h'")

    assert reconciliations.waiting_ids() == [asked.pk]


# -- corrections ----------------------------------------------------------------------------------


def correct(payment: Payment, amount_minor: int, seen_minor: int) -> None:
    corrections.book(
        "card", payment.external_id, USD, clearing_minor=amount_minor,
        against=corrections.unexplained("card"), seen_minor=seen_minor,
    )  # fmt: skip


def test_two_acts_that_saw_the_same_difference_book_it_once() -> None:
    payment = make_payment()

    correct(payment, 1_00, 0)
    correct(payment, 1_00, 0)

    assert corrections.totals("card", [payment.external_id]) == {payment.external_id: 1_00}
    assert audit.differences() == []


def test_a_correction_may_be_taken_back_and_made_again() -> None:
    payment = make_payment()

    for amount_minor, seen_minor in ((1_00, 0), (-1_00, 1_00), (1_00, 0), (-1_00, 1_00)):
        correct(payment, amount_minor, seen_minor)
        expected = seen_minor + amount_minor
        assert corrections.totals("card", [payment.external_id])[payment.external_id] == expected
