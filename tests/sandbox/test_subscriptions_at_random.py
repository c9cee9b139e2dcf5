"""Random lives of subscriptions: whatever is asked for in whatever order, the sums stay right."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox import plans
from tests.sandbox.server import Sandbox

STEPS = 40


class Life:
    """One subscription, and someone who changes it without a plan."""

    def __init__(self, sandbox: Sandbox, seed: int) -> None:
        self.sandbox = sandbox
        self.chance = random.Random(seed)
        sandbox.control("settings", tax_bps=self.chance.choice([0, 825, 1900]))
        self.prices = [
            plans.price(sandbox, amount, interval=interval)
            for amount, interval in (
                *((0, "month"), (999, "month"), (4999, "month"), (9999, "year")),
                *((499, "week"), (49_999, "year")),
            )
        ]
        coupons = sandbox.api().v1.coupons
        once = coupons.create(params={"percent_off": 30, "duration": "once"})
        months: Any = {"duration": "repeating", "duration_in_months": 2}
        months |= {"amount_off": 300, "currency": "usd"}
        off = coupons.create(params=months)
        who = plans.customer(sandbox)
        terms: dict[str, Any] = {"automatic_tax": {"enabled": True}}
        if self.chance.random() < 0.3:
            terms["trial_period_days"] = self.chance.randint(1, 20)
        if self.chance.random() < 0.5:
            terms["discounts"] = [{"coupon": self.chance.choice([once.id, off.id])}]
        self.id = plans.subscribe(sandbox, who, self.chance.choice(self.prices), **terms)["id"]
        self.customer = who
        self.schedule: str | None = None

    def live(self) -> None:
        """Do things; a refusal is an answer, a failure of the sandbox is not."""
        acts = [
            *(self.wait, self.wait, self.swap, self.swap, self.card, self.quantity),
            *(self.plan_end, self.end_trial, self.plan_change, self.release, self.give_up),
        ]
        for _ in range(STEPS):
            with contextlib.suppress(stripe.InvalidRequestError, stripe.CardError):
                self.chance.choice(acts)()
            self.check()

    def wait(self) -> None:
        days = self.chance.choice([0.01, 0.7, 3, 12, 31, 80])
        plans.days(self.sandbox, days * self.chance.random())

    def swap(self) -> None:
        price = self.chance.choice(self.prices)
        behavior = self.chance.choice(["always_invoice", "create_prorations", "none"])
        shown = plans.show(self.sandbox, self.id)
        start, end = plans.period(shown)
        at = self.chance.choice([plans.now(self.sandbox), self.chance.randint(start, end)])
        terms: dict[str, Any] = {"proration_behavior": behavior, "proration_date": at}
        details = {"items": plans.to(shown, price), **terms}
        said = plans.preview(self.sandbox, subscription=self.id, subscription_details=details)
        before = shown["latest_invoice"]
        strict = self.chance.choice(["error_if_incomplete", "allow_incomplete"])
        now = plans.swap(self.sandbox, shown, price, payment_behavior=strict, **terms)
        if now["latest_invoice"] == before:
            assert said["billing_reason"] == "upcoming"
            return
        made = plans.plain(self.sandbox.api().v1.invoices.retrieve(now["latest_invoice"]))
        for name in ("subtotal", "total", "amount_due", "starting_balance", "billing_reason"):
            assert said[name] == made[name], name
        assert plans.lines(said) == plans.lines(made)

    def card(self) -> None:
        number = self.chance.choice([plans.GOOD, plans.FAILING])
        self.sandbox.control(f"customers/{self.customer}/card", card=number)

    def quantity(self) -> None:
        item = plans.show(self.sandbox, self.id)["items"]["data"][0]
        changed = {"id": item["id"], "quantity": self.chance.randint(1, 4)}
        plans.change(self.sandbox, self.id, items=[changed])

    def plan_end(self) -> None:
        wanted = self.chance.random() < 0.3
        plans.change(self.sandbox, self.id, cancel_at_period_end=wanted)

    def end_trial(self) -> None:
        plans.change(self.sandbox, self.id, trial_end="now")

    def plan_change(self) -> None:
        api = self.sandbox.api().v1.subscription_schedules
        made = plans.plain(api.create(params={"from_subscription": self.id}))
        self.schedule = made["id"]
        now = made["phases"][0]
        kept = [{"price": one["price"], "quantity": one["quantity"]} for one in now["items"]]
        then = [{"price": self.chance.choice(self.prices)}]
        given: Any = {"phases": [{"items": kept, "end_date": now["end_date"]}, {"items": then}]}
        api.update(made["id"], params=given)

    def release(self) -> None:
        if self.schedule is not None:
            self.sandbox.api().v1.subscription_schedules.release(self.schedule)

    def give_up(self) -> None:
        for invoice in plans.invoices(self.sandbox, self.id):
            if invoice["status"] == "open":
                self.sandbox.api().v1.invoices.void_invoice(invoice["id"])

    def check(self) -> None:
        """What must hold at any moment."""
        books = self.sandbox.books()
        shown = plans.show(self.sandbox, self.id)
        start, end = plans.period(shown)
        if shown["status"] in ("active", "trialing", "past_due"):
            assert start <= plans.now(self.sandbox) <= end
        balance = self.sandbox.api().v1.customers.retrieve(self.customer).balance
        settled = [
            one
            for one in books["invoices"]
            if one["ending_balance"] is not None and one["status"] != "void"
        ]
        assert all(one["amount_due"] >= 0 for one in settled)
        moved = sum(one["ending_balance"] - one["starting_balance"] for one in settled)
        assert moved == balance
        assert all(line["amount"] >= 0 or line["proration"] for line in _lines(settled))


def _lines(invoices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for one in invoices for line in one["lines"]]


@pytest.mark.parametrize("seed", range(6))
def test_the_sums_stay_right(sandbox: Sandbox, seed: int) -> None:
    Life(sandbox, seed).live()

    assert sandbox.books()["agrees"]


def test_no_client_is_needed_to_see_the_books_agree(sandbox: Sandbox) -> None:
    plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox))

    answer = httpx.get(f"{sandbox.url}/_sandbox/books")

    assert answer.json()["stripe"]["agrees"]
