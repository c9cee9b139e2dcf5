"""A day with one missing, one duplicate and one wrong thing of each kind: named, then repaired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from accounts.models import User
from billing import ledger
from billing.models import (
    ItemState,
    ReconciliationItem,
    ReconciliationRun,
    RunOutcome,
    StaffAction,
)
from billing.money import USD
from billing.selectors import audit
from billing.services import reconciliations
from billing.services.staff import Note
from common import clock, ids
from common.errors import Conflict
from tests.accounts.factories import make_staff
from tests.end_to_end import books, planting, subscribers
from tests.end_to_end.planting import Day, Named
from tests.end_to_end.till import Till

SINCE = timedelta(days=60)


@pytest.fixture
def day(till: Till) -> Iterator[Day]:
    """A day to plant differences on; in the end both books agree to the cent."""
    till.settle_down()
    yield Day(till)
    books.assert_agree(till)


@pytest.fixture
def clerk(till: Till) -> User:
    """Somebody who repairs by hand."""
    return make_staff()


def run(repair: reconciliations.Mode) -> ReconciliationRun:
    """What the nightly job does, or would name."""
    found = reconciliations.run("card", clock.now() - SINCE, repair=repair)
    assert found.outcome in (RunOutcome.CLEAN, RunOutcome.DIFFERENCES), found.note
    return found


def named(found: ReconciliationRun, *states: ItemState) -> set[Named]:
    """What a run named, all of it or what is in one of these states."""
    items = found.items.filter(state__in=states) if states else found.items.all()
    return {(item.kind, item.subject) for item in items}


def repair(item: ReconciliationItem, clerk: User) -> None:
    """One click and a reason."""
    reconciliations.repair(Note(clerk, "looked at both sides", str(ids.uuid7())), item)
    item.refresh_from_db()
    assert item.state == ItemState.REPAIRED, (item.kind, item.note)


@pytest.mark.parametrize(
    "plant",
    [
        # First, as it moves the clock.
        planting.plant_a_period_billed_twice,
        planting.plant_payments,
        planting.plant_fees,
        planting.plant_refunds,
        planting.plant_disputes,
        planting.plant_invoices,
        planting.plant_subscriptions,
        planting.plant_what_nobody_goes_on_with,
    ],
    ids=lambda plant: plant.__name__.removeprefix("plant_"),
)
def test_each_kind_is_named_and_nothing_else_and_repair_leaves_no_drift(
    day: Day, clerk: User, plant: object
) -> None:
    assert callable(plant)
    plant(day)

    assert named(run("none")) == day.all

    safe = run("safe")
    assert named(safe, ItemState.REPAIRED) == day.safe
    assert named(safe, ItemState.LEFT) == day.unsafe
    for item in safe.items.filter(state=ItemState.LEFT).order_by("pk"):
        repair(item, clerk)
    again = run("safe")
    assert (again.outcome, named(again)) == (RunOutcome.CLEAN, set())
    assert [str(one) for one in audit.differences()] == []


def test_a_whole_day_of_it_at_once(day: Day, clerk: User) -> None:
    planting.plant_payments(day)
    planting.plant_fees(day)
    planting.plant_refunds(day)
    planting.plant_disputes(day)
    planting.plant_invoices(day)
    planting.plant_subscriptions(day)

    assert named(run("none")) == day.all

    safe = run("safe")
    for item in safe.items.filter(state=ItemState.LEFT).order_by("pk"):
        repair(item, clerk)
    again = run("safe")
    assert (again.outcome, named(again)) == (RunOutcome.CLEAN, set())
    logged = StaffAction.objects.filter(act="repair_difference", staff=clerk)
    assert logged.count() == len(day.unsafe)


def test_what_cannot_be_repaired_here_says_what_to_do(day: Day, clerk: User) -> None:
    subscription = subscribers.subscribe(day.till, day.till.customer())
    period = subscription.periods.get()
    ghost = day.ghost("in")
    sql = "UPDATE billing_subscriptionperiod SET kind = %s, source = %s WHERE id = %s"
    planting.tamper(sql, "trial", ghost, str(period.pk))

    found = run("safe")

    assert named(found, ItemState.LEFT) == {("invoice_unknown", ghost)}
    item = found.items.get()
    with pytest.raises(Conflict, match="Look the subscription up at Stripe"):
        reconciliations.repair(Note(clerk, "try", str(ids.uuid7())), item)
    planting.tamper(sql, period.kind, period.source, str(period.pk))
    assert run("safe").outcome == RunOutcome.CLEAN
    item.refresh_from_db()
    assert item.state == ItemState.GONE


def test_sums_that_differ_although_all_things_agree_are_one_item(day: Day, clerk: User) -> None:
    day.paid(1)
    clearing = ledger.system_account("clearing:card", USD)
    sales = ledger.system_account("sales", USD)
    slip = f"slip:{ids.uuid7()}"
    leg = ledger.Leg(clearing, sales, 3_00, "adjustment", f"{slip}:1")
    ledger.post([leg], group=slip, occurred_at=clock.now())
    before = day.till.balance("unreconciled:card")

    found = run("safe")

    assert named(found, ItemState.LEFT) == {("balance_differs", "USD")}
    repair(found.items.get(), clerk)
    assert run("safe").outcome == RunOutcome.CLEAN
    assert day.till.balance("unreconciled:card") == before - 3_00
    # The slip itself is taken back, once somebody has found it; so is the repair.
    back = ledger.Leg(sales, clearing, 3_00, "adjustment", f"{slip}:2")
    ledger.post([back], group=slip, occurred_at=clock.now())
    again = run("none")
    assert named(again) == {("balance_differs", "USD")}
    repair(again.items.get(), clerk)
    assert day.till.balance("unreconciled:card") == before
