"""The control page's sections on time, plans and invoices, without a browser."""

from __future__ import annotations

import asyncio
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette

from sandbox.config import Config
from sandbox.store import Store
from sandbox.stripe.pages.clock import Pages
from tests.sandbox.person import Person
from tests.sandbox.server import Sandbox

DAY_SECONDS = 24 * 3600


def now(sandbox: Sandbox) -> float:
    return float(sandbox.look("clock")["now"])


def home(sandbox: Sandbox) -> str:
    return sandbox.http.get("/").text


@pytest.mark.parametrize(
    ("step", "seconds"), [("hour", 3600), ("day", DAY_SECONDS), ("week", 7 * DAY_SECONDS)]
)
def test_a_button_moves_the_clock_and_leads_back(sandbox: Sandbox, step: str, seconds: int) -> None:
    before = now(sandbox)
    assert f'id="clock-{step}"' in home(sandbox)

    answer = sandbox.http.post("/clock", data={"step": step})

    assert (answer.status_code, answer.headers["location"]) == (303, "/#clock")
    assert seconds <= now(sandbox) - before <= seconds + 60
    assert "ahead of the real time" in home(sandbox)


@pytest.mark.parametrize(("step", "months"), [("month", 1), ("year", 12)])
def test_a_month_and_a_year_end_on_the_same_day(sandbox: Sandbox, step: str, months: int) -> None:
    before = time.gmtime(now(sandbox))

    sandbox.http.post("/clock", data={"step": step})

    after = time.gmtime(now(sandbox) + 1)
    passed = (after.tm_year - before.tm_year) * 12 + after.tm_mon - before.tm_mon
    assert passed == months
    assert after.tm_mday == before.tm_mday or after.tm_mday >= 28


def test_to_the_next_renewal_means_until_it_is_paid(sandbox: Sandbox) -> None:
    assert "clock-renewal" not in home(sandbox)
    person = Person(sandbox)
    first = person.plan().latest_invoice
    assert "clock-renewal" in home(sandbox)

    sandbox.http.post("/clock", data={"step": "renewal"})

    renewed = person.plan().latest_invoice
    assert renewed != first
    assert person.api.invoices.retrieve(renewed).status == "paid"
    assert sandbox.books()["currencies"]["usd"]["gross"] == 2 * 99_99


def test_a_step_that_is_none_is_refused(sandbox: Sandbox) -> None:
    assert sandbox.http.post("/clock", data={"step": "century"}).status_code == 422
    assert sandbox.http.get("/clock").headers["location"] == "/#clock"


def test_a_move_that_takes_long_is_waited_for_on_a_page(tmp_path: Path) -> None:
    store = Store(tmp_path / "sandbox.db")
    config = Config(db=tmp_path / "sandbox.db", clock_file=tmp_path / "clock")
    pages = Pages(store, config, patience_seconds=0)

    async def story() -> list[httpx.Response]:
        app = httpx.ASGITransport(app=Starlette(routes=pages.routes()))
        async with httpx.AsyncClient(transport=app, base_url="http://127.0.0.1") as client:
            with store.lock:  # what a long move would hold
                first = await client.post("/clock", data={"step": "day"})
                second = await client.post("/clock", data={"step": "day"})
            pages.patience_seconds = 10
            return [first, second, await client.get("/clock")]

    with ThreadPoolExecutor() as threads:  # a browser's tests have a loop in this one
        first, second, last = threads.submit(lambda: asyncio.run(story())).result()
    with store.transaction() as tx:
        offset = tx.setting("clock_offset_seconds")
    store.close()

    assert "Time is moving" in first.text
    assert first.headers["refresh"] == second.headers["refresh"] == "1; url=/clock"
    assert last.headers["location"] == "/#clock"
    assert offset == DAY_SECONDS  # the second press started nothing


def press(sandbox: Sandbox, button: str) -> None:
    """Post the form around a button."""
    page = home(sandbox)
    form = re.search(rf'<form[^>]*action="([^"]*)"[^>]*>((?:(?!</form>).)*id="{button}")', page)
    assert form, page
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="(\w+)"', form[2]))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = sandbox.http.post(form[1], content=urlencode(hidden), headers=kind)
    assert answer.status_code == 303, answer.text


def test_a_card_is_made_to_decline_and_good_again(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    press(sandbox, f"decline-{person.subscription}")
    sandbox.http.post("/clock", data={"step": "renewal"})
    assert person.plan().status == "past_due"
    assert "retries on" in home(sandbox)

    press(sandbox, f"good-{person.subscription}")
    press(sandbox, f"pay-{person.plan().latest_invoice}")

    assert person.plan().status == "active"
    assert "renews on" in home(sandbox)


def test_a_plan_is_cancelled_and_an_invoice_taken_back(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    press(sandbox, f"decline-{person.subscription}")
    sandbox.http.post("/clock", data={"step": "renewal"})
    invoice = person.plan().latest_invoice

    press(sandbox, f"void-{invoice}")
    press(sandbox, f"cancel-{person.subscription}")

    assert person.api.invoices.retrieve(invoice).status == "void"
    assert person.plan().status == "canceled"
    assert f"void-{invoice}" not in home(sandbox)


def test_a_session_that_saves_a_card_is_listed_without_a_total(sandbox: Sandbox) -> None:
    setup: Any = {"mode": "setup", "currency": "usd", "success_url": "http://127.0.0.1:1/"}
    sandbox.api().v1.checkout.sessions.create(params=setup)

    assert "setup" in home(sandbox)
