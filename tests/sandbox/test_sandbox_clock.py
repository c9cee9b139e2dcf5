"""The sandbox's clock: what falls due on the way, in order; the file that tells others the time."""

from __future__ import annotations

import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.sandbox import plans
from tests.sandbox.server import Sandbox


def test_a_year_renews_twelve_months_each_at_its_moment(sandbox: Sandbox) -> None:
    plans.until_day(sandbox, 2027, 1, 31)
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox))
    before = len(sandbox.event_types())

    plans.days(sandbox, 365.5)

    invoices = plans.invoices(sandbox, made["id"])
    assert len(invoices) == 13
    assert all(one["status"] == "paid" for one in invoices)
    for earlier, later in pairwise(invoices):
        assert later["created"] == earlier["lines"]["data"][0]["period"]["end"]
        assert later["status_transitions"]["paid_at"] == later["created"] + plans.HOUR_SECONDS
    events = sandbox.api().v1.events.list(params={"limit": 100}).auto_paging_iter()
    moments = [event.created for event in events][::-1][before:]
    assert moments == sorted(moments)
    assert sandbox.books()["currencies"]["usd"]["gross"] == 13 * 2999


def test_one_long_step_is_many_short_ones(sandbox: Sandbox) -> None:
    def told() -> list[tuple[str, int]]:
        events = sandbox.api().v1.events.list(params={"limit": 100}).auto_paging_iter()
        return [(str(event.type), event.created - start) for event in events][::-1]

    outcomes = []
    for steps in (1, 37):
        sandbox.http.post("/_sandbox/reset", json={}).raise_for_status()
        start = plans.until_day(sandbox, 2027, 3, 1)
        who = plans.customer(sandbox)
        plans.subscribe(sandbox, who, plans.price(sandbox, interval="week"), trial_period_days=9)
        sandbox.control(f"customers/{who}/card", card=plans.FAILING)
        sandbox.session()
        for _ in range(steps):
            plans.days(sandbox, 74 / steps)
        outcomes.append([(kind, moment // 60) for kind, moment in told()])

    assert outcomes[0] == outcomes[1]
    assert "customer.subscription.deleted" in {kind for kind, _ in outcomes[0]}


def test_sessions_expire_at_their_own_time(sandbox: Sandbox) -> None:
    session = sandbox.session()

    plans.days(sandbox, 3)

    (expired,) = plans.told(sandbox, "checkout.session.expired")
    assert expired["created"] == session.expires_at


def test_a_dispute_nobody_answers_is_lost_when_its_time_is_over(sandbox: Sandbox) -> None:
    charge = sandbox.api().v1.payment_intents.retrieve(str(sandbox.paid().payment_intent))
    dispute = sandbox.control(f"charges/{charge.latest_charge}/dispute")

    plans.days(sandbox, 30)

    (closed,) = plans.told(sandbox, "charge.dispute.closed")
    assert closed["created"] == dispute["evidence_details"]["due_by"] + 1
    assert closed["data"]["object"]["status"] == "lost"


def test_the_clock_is_shown_and_reset_puts_it_back(sandbox: Sandbox) -> None:
    real = time.time()
    plans.days(sandbox, 2)

    shown = sandbox.look("clock")
    assert shown["offset_seconds"] == 2 * plans.DAY_SECONDS
    assert shown["now"] == pytest.approx(real + 2 * plans.DAY_SECONDS, abs=30)
    assert offset_in_file(sandbox) == 2 * plans.DAY_SECONDS

    sandbox.http.post("/_sandbox/reset", json={}).raise_for_status()

    assert sandbox.look("clock")["offset_seconds"] == 0
    assert plans.now(sandbox) == pytest.approx(time.time(), abs=5)
    assert offset_in_file(sandbox) == 0


def offset_in_file(sandbox: Sandbox) -> float:
    return float((sandbox.folder / "sandbox.db.clock").read_text())


def test_the_file_never_holds_half_a_number(sandbox: Sandbox) -> None:
    seen: set[float] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(offset_in_file(sandbox))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(40):
        sandbox.control("clock", advance_seconds=1_000_000)
    stop.set()
    watcher.join()

    assert seen <= {float(1_000_000 * step) for step in range(41)}
    assert not [one for one in sandbox.folder.iterdir() if one.name.startswith(".")]


def test_the_offset_outlives_the_process_and_is_written_at_start(tmp_path: Path) -> None:
    clock = tmp_path / "elsewhere" / "clock"
    with Sandbox(tmp_path, SANDBOX_CLOCK=str(clock)) as sandbox:
        assert float(clock.read_text()) == 0
        plans.days(sandbox, 5)
        sandbox.stop(signal.SIGKILL)
        clock.unlink()

        sandbox.start()

        assert float(clock.read_text()) == 5 * plans.DAY_SECONDS
        assert sandbox.look("clock")["offset_seconds"] == 5 * plans.DAY_SECONDS


def test_what_is_due_is_done_while_real_time_passes(sandbox: Sandbox) -> None:
    sandbox.control("settings", invoice_finalize_seconds=0)
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox))
    plans.until(sandbox, plans.period(made)[1] - 1)
    assert len(plans.invoices(sandbox, made["id"])) == 1

    deadline = time.monotonic() + 10
    while len(plans.invoices(sandbox, made["id"])) == 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert plans.invoices(sandbox, made["id"])[-1]["created"] == plans.period(made)[1]
