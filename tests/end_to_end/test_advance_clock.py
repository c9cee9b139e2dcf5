"""Time passes at the sandbox and at the portal together, and what is due on the way happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from billing import ledger
from billing.models import Code, Lot, Transfer
from billing.money import CREDIT
from billing.plans import Interval
from billing_project import moving
from billing_project.demo.hands import Hands
from billing_project.sandbox_control import Sandbox
from billing_project.timelapse import Timelapse
from common import clock
from tests import live
from tests.end_to_end import books
from tests.end_to_end import till as tills

DAY = timedelta(days=1)
ALMOST = timedelta(minutes=5)


@pytest.fixture(scope="module")
def portal() -> Iterator[live.Portal]:
    with live.Portal(processes=("sandbox", "web", "worker", "beat")) as running:
        yield running


def test_both_times_move_by_as_much_and_what_is_due_happens(
    portal: live.Portal, till: tills.Till
) -> None:
    customer = till.customer()
    began = clock.now()
    assert began - datetime.now(UTC) < ALMOST
    ledger.grant(
        ledger.wallet(customer, CREDIT),
        100,
        code=Code.PROMOTION,
        key=f"{customer.pk}:soon gone",
        group=f"{customer.pk}:soon gone",
        origin="test",
        occurred_at=began,
        expires_at=began + 9 * DAY + timedelta(hours=12),
        promotional=True,
    )

    done = portal.manage("advance_clock", "10d")

    assert abs(clock.now() - began - 10 * DAY) < ALMOST
    theirs = portal.sandbox("GET", "/_sandbox/clock")["now"]
    assert abs(clock.now() - datetime.fromtimestamp(theirs, UTC)) < timedelta(seconds=3)
    lines = done.stdout.splitlines()
    assert lines[-3:] == [
        "[##############################] " + f"{clock.now():%Y-%m-%d}",
        f"It is {clock.now():%Y-%m-%d %H:%M} UTC now.",
        "  1 lot of credits or units expired",
    ]
    assert not Lot.objects.get(account__owner=customer).is_open
    expired = Transfer.objects.get(code=Code.EXPIRE, source__owner=customer)
    assert expired.occurred_at - began < 10 * DAY + ALMOST
    books.assert_agree(till)


def test_what_is_bought_later_is_dated_then(portal: live.Portal, till: tills.Till) -> None:
    portal.manage("advance_clock", "1d12h")

    order = till.buy()

    assert order.paid_at is not None
    assert abs(order.paid_at - clock.now()) < ALMOST
    books.assert_agree(till)


def test_a_portal_that_follows_another_clock_is_told_so(portal: live.Portal) -> None:
    other = str(portal.folder / "other.clock")

    done = portal.manage("advance_clock", "1h", check=False, SANDBOX_CLOCK=other)

    assert done.returncode == 1
    assert "Both need the same SANDBOX_CLOCK" in done.stderr


def test_a_plan_renews_on_the_way_and_by_a_jump_at_the_sandbox(
    portal: live.Portal, till: tills.Till
) -> None:
    sandbox = Sandbox(portal.sandbox_url)
    customer = till.customer()
    subscription = Hands(sandbox, Timelapse(sandbox)).subscribe(customer, "premium", Interval.MONTH)

    done = portal.manage("advance_clock", "--to-next-renewal")

    assert clock.now() > subscription.period_ends_at
    assert "  1 further period billed (renewals and changes of plan)" in done.stdout.splitlines()
    assert subscription.periods.count() == 2

    sandbox.advance(32 * 86400)
    till.settle_down()

    assert subscription.periods.count() == 3
    subscription.refresh_from_db()
    assert subscription.period_ends_at > clock.now()
    books.assert_agree(till)


def test_two_cannot_move_the_time_at_once(portal: live.Portal, till: tills.Till) -> None:
    before = portal.clock_file.read_text()

    with moving.moving():
        done = portal.manage("advance_clock", "1d", check=False)

    assert done.returncode == 1
    assert "is being moved just now" in done.stderr
    assert portal.clock_file.read_text() == before
