"""The demo month, lived live: everybody ends where their story leads, and the books agree."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from accounts.models import Customer
from accounts.services import register_person
from billing import selectors
from billing.models import (
    Dispute,
    DisputeState,
    Order,
    PeriodKind,
    Refund,
    RefundState,
    Subscription,
    SubscriptionPeriod,
)
from billing_project.demo.stories import DEMO_EMAIL, STORIES
from common import clock
from tests import live
from tests.end_to_end import books
from tests.end_to_end import till as tills

# The variables of `make run`.
ENV = {"BASIC_TRIAL_DAYS": "7"}
ENDS_AS = {
    "demo": [("premium", "month", "active", False)],
    "studio": [("enterprise", "month", "active", False)],
    "team": [("basic", "month", "active", False)],
    "agency": [("enterprise", "year", "active", False)],
    "newcomer": [("basic", "month", "active", False)],
    "late": [("premium", "month", "past_due", False)],
    "leaver": [("premium", "month", "ended", False)],
    "pair": [("premium", "month", "active", False), ("premium", "month", "active", True)],
    "shop": [],
}


@pytest.fixture(scope="module")
def portal() -> Iterator[live.Portal]:
    """A portal in which the month was lived, with everything that `make run` starts."""
    with live.Portal(processes=("sandbox", "web", "worker", "beat"), env=ENV) as running:
        running.manage("sync_catalogue")
        running.manage("seed_demo")
        said = running.manage("demo_month").stdout
        assert f"See it as {DEMO_EMAIL}" in said, said
        yield running


def customer(name: str) -> Customer:
    return Customer.objects.get(email=f"{name}@example.com")


def periods(name: str) -> list[SubscriptionPeriod]:
    found = SubscriptionPeriod.objects.filter(subscription__customer=customer(name))
    return list(found.order_by("starts_at"))


def test_everybody_ends_where_their_story_leads(till: tills.Till) -> None:
    found = {
        name: [
            (one.plan_slug, one.interval, one.status, one.is_duplicate)
            for one in Subscription.objects.filter(customer=customer(name)).order_by("pk")
        ]
        for name in ENDS_AS
    }

    assert found == ENDS_AS
    assert {story.email for story in STORIES} == {f"{name}@example.com" for name in ENDS_AS}


def test_the_demo_customer_has_a_plan_that_renewed_and_a_history(till: tills.Till) -> None:
    demo = customer("demo")
    first, second = periods("demo")

    assert (first.kind, second.kind) == (PeriodKind.PAID, PeriodKind.PAID)
    assert first.ends_at == second.starts_at < clock.now() < second.ends_at
    rows = list(selectors.all_rows(till.wallet(demo)))
    days = {row.booked_at.date() for row in rows}
    assert len(days) > 28
    assert sum(row.kind == selectors.Kind.USAGE for row in rows) >= 29
    assert till.spendable(demo) > 0


def test_plan_changes_and_trials_leave_no_gap_in_what_is_billed(till: tills.Till) -> None:
    told = {
        name: [(one.plan_slug, one.kind) for one in periods(name)]
        for name in ("studio", "team", "newcomer")
    }

    assert told == {
        "studio": [("premium", "paid"), ("enterprise", "paid"), ("enterprise", "paid")],
        "team": [("premium", "paid"), ("basic", "paid")],
        "newcomer": [("basic", "trial"), ("basic", "paid")],
    }
    for name in told:
        assert all(one.ends_at == after.starts_at for one, after in pairwise(periods(name)))


def test_money_that_went_back_and_disputes(till: tills.Till) -> None:
    refund = Refund.objects.get(payment__customer=customer("agency"))
    disputes = Dispute.objects.filter(payment__customer=customer("shop")).order_by("opened_at")

    assert (refund.state, refund.amount_minor) == (RefundState.SUCCEEDED, 20_00)
    assert [one.state for one in disputes] == [DisputeState.WON, DisputeState.LOST]


def test_it_lasted_a_month_by_every_clock(portal: live.Portal, till: tills.Till) -> None:
    paid = Order.objects.filter(paid_at__isnull=False).order_by("paid_at")
    first, last = paid.first(), paid.last()

    assert first is not None
    assert last is not None
    assert timedelta(days=30) < (last.paid_at or clock.now()) - (first.paid_at or clock.now())
    theirs = portal.sandbox("GET", "/_sandbox/clock")["now"]
    assert abs(clock.now().timestamp() - theirs) < 5


def test_the_books_agree_and_reconciliation_finds_nothing(
    portal: live.Portal, till: tills.Till
) -> None:
    books.assert_agree(till)
    portal.manage("check_ledger")
    said = portal.manage("reconcile", "--hours", "1000").stdout.splitlines()
    assert "card: nothing differs" in said
    assert all(line.endswith("nothing differs") for line in said)
    assert "mirror failed" not in portal.log("worker")


def test_it_is_lived_once(portal: live.Portal, till: tills.Till) -> None:
    before, orders, began = clock.now(), Order.objects.count(), time.monotonic()

    said = portal.manage("demo_month").stdout

    assert said == f"The demo month was lived before; it is {clock.now():%-d %B %Y} here.\n"
    assert Order.objects.count() == orders
    assert clock.now() - before < timedelta(seconds=time.monotonic() - began + 1)
    portal.manage("seed_demo")


@pytest.mark.django_db
def test_without_the_demo_customer_it_says_what_to_run() -> None:
    with pytest.raises(CommandError, match="Run seed_demo first"):
        call_command("demo_month")


@pytest.mark.django_db
def test_what_was_broken_off_is_not_begun_again(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_demo")
    register_person(email="studio@example.com", password=None)

    call_command("demo_month")

    assert "broken off" in capsys.readouterr().out


@pytest.mark.django_db
def test_it_is_for_the_sandbox_only() -> None:
    with override_settings(SANDBOX=False), pytest.raises(CommandError, match="SANDBOX=1"):
        call_command("demo_month")
