"""Reconciliation in the admin: runs, their differences, running one, repairing with a reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.urls import reverse

from billing import tasks
from billing.models import (
    ItemState,
    ReconciliationItem,
    ReconciliationRun,
    RunOutcome,
    StaffAction,
    Transfer,
)
from billing.money import USD
from billing.services import corrections, reconciliations
from billing.services.rails import Finding, Repair
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.staff import Staff, hidden, make_helper, sign_in, words

pytestmark = pytest.mark.django_db

RUNS = "/admin/billing/reconciliationrun/"


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


def differ(rail: FakeRail, subject: str, *, is_safe: bool) -> None:
    """A payment that came with another amount, until a correction of it is in the ledger."""
    finding = Finding(
        "payment_amount_differs", subject, "Another amount than we booked.", ours="$6.00",
        theirs="$5.00", is_safe=is_safe, remedy="Book $1.00.", advice="Look at it first.",
    )  # fmt: skip

    def act() -> None:
        corrections.book(
            "card", subject, USD, clearing_minor=1_00, against="unreconciled:card", seen_minor=0
        )

    repair = Repair(finding, act)
    rail.differences.append(repair)
    rail.looks[subject] = lambda: None if corrections.totals("card", [subject]) else repair


def run() -> ReconciliationRun:
    return reconciliations.run("card", clock.now() - timedelta(days=1))


def page_of(found: ReconciliationRun) -> str:
    return reverse("admin:billing_reconciliationrun_change", args=[found.pk])


def repair_url(item: ReconciliationItem) -> str:
    return reverse("admin:billing_reconciliationitem_repair", args=[item.pk])


def test_without_runs_the_list_says_so(staff: Staff) -> None:
    text = words(staff.get(RUNS))

    assert "No run yet" in text
    assert "Run now" in text
    assert "0 Differences with providers not compared yet" in words(staff.get("/admin/"))


def test_a_runs_page_names_both_sides_and_what_repair_does(rail: FakeRail, staff: Staff) -> None:
    differ(rail, "pi_1", is_safe=False)

    text = words(staff.get(page_of(run())))

    assert "Waiting for somebody" in text
    assert "payment amount differs pi_1 $6.00 $5.00 Book $1.00. waits for somebody Repair" in text


def test_a_run_that_was_broken_off_says_why(rail: FakeRail, staff: Staff) -> None:
    rail.down = True

    found = run()

    assert "It was broken off: The payment provider cannot be reached" in words(
        staff.get(page_of(found))
    )
    assert "provider not reachable" in words(staff.get(RUNS))
    assert "0 Differences with providers provider not reachable at" in words(staff.get("/admin/"))


def test_what_is_left_is_a_red_number_on_the_first_page(rail: FakeRail, staff: Staff) -> None:
    differ(rail, "pi_1", is_safe=False)
    differ(rail, "pi_2", is_safe=True)
    run()

    page = staff.get("/admin/")

    assert "1 Differences with providers differences found at" in words(page)
    card = page.text[: page.text.index("Differences with providers")].rsplit("<a", 1)[1]
    assert "text-red-700" in card
    assert f'href="{reverse("admin:billing_reconciliationitem_changelist")}?state=open"' in card


def test_a_repair_shows_what_it_books_and_is_logged(rail: FakeRail, staff: Staff) -> None:
    differ(rail, "pi_1", is_safe=False)
    item = run().items.get()

    page = staff.get(repair_url(item))

    assert "Repair Book $1.00. Mind Look at it first." in words(page)
    assert "unreconciled:card clearing:card $1.00" in words(page)
    assert not Transfer.objects.exists()
    refused = staff.post(repair_url(item), {**hidden(page), "reason": ""})
    assert "This field is required" in words(refused)

    answer = staff.post_final(repair_url(item), page)

    assert answer.status_code == 302, words(answer)
    item.refresh_from_db()
    assert item.state == ItemState.REPAIRED
    logged = StaffAction.objects.get()
    assert (logged.act, logged.reason) == ("repair_difference", "asked by e-mail")
    assert Transfer.objects.get().amount_minor == 1_00
    log = words(staff.get("/admin/billing/staffaction/"))
    assert "Repaired a difference" in log


def test_all_that_is_safe_is_repaired_at_once(rail: FakeRail, staff: Staff) -> None:
    for subject in ("pi_1", "pi_2", "pi_3"):
        differ(rail, subject, is_safe=subject != "pi_3")
    found = reconciliations.run("card", clock.now() - timedelta(days=1), repair="none")
    url = reverse("admin:billing_reconciliationrun_repair_safe", args=[found.pk])

    answer = staff.act(url, reason="a lost webhook each")

    assert answer.status_code == 302
    assert answer["Location"] == page_of(found)
    states = dict(found.items.values_list("subject", "state"))
    assert states == {"pi_1": "repaired", "pi_2": "repaired", "pi_3": "found"}
    assert StaffAction.objects.filter(reason="a lost webhook each").count() == 2
    text = words(staff.get(page_of(found)))
    assert "Repair all that is safe" not in text
    found.refresh_from_db()
    assert (found.repaired_count, found.left_count) == (2, 1)


def test_selected_differences_are_repaired_each_for_itself(rail: FakeRail, staff: Staff) -> None:
    for subject in ("pi_1", "pi_2"):
        differ(rail, subject, is_safe=False)
    found = run()
    url = reverse("admin:billing_reconciliationitem_changelist")
    chosen = [str(item.pk) for item in found.items.all()]
    asked = {"action": "repair_selected", "_selected_action": chosen}

    page = staff.post(url, asked)
    answer = staff.post(url, {**hidden(page), **asked, "reason": "both looked at"})

    assert answer.status_code == 302, words(answer)
    assert set(found.items.values_list("state", flat=True)) == {"repaired"}


def test_run_now_asks_of_which_days_and_has_a_worker_do_it(rail: FakeRail, staff: Staff) -> None:
    differ(rail, "pi_1", is_safe=False)
    url = reverse("admin:billing_reconciliationrun_run_now")
    today = clock.now().date()
    asked = {
        "rail": "card",
        "since": (today - timedelta(days=3)).isoformat(),
        "until": (today - timedelta(days=2)).isoformat(),
        "repairs": "on",
        "reason": "a customer asked",
    }

    shown = staff.shown(url, **asked)
    answer = staff.post_final(url, shown)

    assert "Compares the books of Fake card" in words(shown)
    assert answer.status_code == 302, words(answer)
    waiting = ReconciliationRun.objects.get()
    assert (waiting.outcome, waiting.started_by) == (RunOutcome.WAITING, staff.user)
    assert waiting.until - waiting.since == timedelta(days=2)
    assert "not over yet" in words(staff.get(page_of(waiting)))
    tasks.run_reconciliation(str(waiting.pk))
    assert "payment amount differs" in words(staff.get(page_of(waiting)))
    assert StaffAction.objects.get().reason == "a customer asked"


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"since": "2999-01-01"}, "That day has not begun."),
        ({"until": "2020-01-01"}, "That is before the first day."),
        ({"rail": "none"}, "Select a valid choice"),
        ({"reason": ""}, "This field is required"),
    ],
)
def test_run_now_refuses_what_makes_no_sense(
    staff: Staff, fields: dict[str, str], complaint: str
) -> None:
    url = reverse("admin:billing_reconciliationrun_run_now")
    asked = {"rail": "card", "since": "2026-01-01", "reason": "x"} | fields

    page = staff.post(url, {**hidden(staff.get(url)), **asked})

    assert complaint in words(page)
    assert not ReconciliationRun.objects.exists()


def test_a_run_is_taken_away_as_a_table(rail: FakeRail, staff: Staff) -> None:
    differ(rail, "=cmd|' /C calc'!A0", is_safe=False)
    found = run()

    answer = staff.get(reverse("admin:billing_reconciliationrun_download", args=[found.pk]))

    body = answer.getvalue().decode()
    heading, row = csv.reader(io.StringIO(body))
    assert heading[:5] == ["Kind", "Subject", "Detail", "Ours", "Theirs"]
    assert row[0] == "payment_amount_differs"
    assert row[1].startswith("'=cmd")
    assert "attachment" in answer["Content-Disposition"]


def test_those_without_the_right_look_and_do_nothing(rail: FakeRail) -> None:
    differ(rail, "pi_1", is_safe=True)
    found = reconciliations.run("card", clock.now() - timedelta(days=1), repair="none")
    helper = sign_in(make_helper())

    text = words(helper.get(page_of(found)))

    assert "payment amount differs pi_1" in text
    assert "Repair all that is safe" not in text
    assert "run-now" not in helper.get(RUNS).text
    for url in (
        repair_url(found.items.get()),
        reverse("admin:billing_reconciliationrun_run_now"),
        reverse("admin:billing_reconciliationrun_repair_safe", args=[found.pk]),
    ):
        assert helper.get(url).status_code == 403
        assert helper.post(url, {"reason": "x"}).status_code == 403
    assert found.items.get().state == ItemState.FOUND


def test_those_with_the_right_may() -> None:
    helper = sign_in(make_helper("reconcile"))

    assert helper.get(reverse("admin:billing_reconciliationrun_run_now")).status_code == 200
