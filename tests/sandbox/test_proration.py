"""Changes within a period: what is given back, what is asked for, and what a preview says of it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import stripe

from tests.sandbox import plans
from tests.sandbox.server import Sandbox


def share(amount: int, period: tuple[int, int], at: int) -> int:
    """``amount`` for the rest of the period after ``at``, halves up."""
    rest = Fraction(amount * (period[1] - at), period[1] - period[0])
    return int(rest + Fraction(1, 2))


@pytest.fixture
def running(sandbox: Sandbox) -> dict[str, Any]:
    """A monthly subscription of 29.99, some days and seconds into its period."""
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox, 2999))
    sandbox.control("clock", advance_seconds=10 * plans.DAY_SECONDS + 4321)
    return made


def test_an_upgrade_is_invoiced_at_once_by_the_second(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    dear, at = plans.price(sandbox, 9999), plans.now(sandbox)

    now = plans.swap(sandbox, running, dear, proration_behavior="always_invoice", proration_date=at)

    invoice = plans.invoices(sandbox, running["id"])[-1]
    period = plans.period(running)
    assert plans.lines(invoice) == [-share(2999, period, at), share(9999, period, at)]
    assert (invoice["status"], invoice["billing_reason"]) == ("paid", "subscription_update")
    assert invoice["amount_paid"] == sum(plans.lines(invoice))
    assert plans.period(now) == period
    assert now["billing_cycle_anchor"] == running["billing_cycle_anchor"]
    details = [line["parent"]["subscription_item_details"] for line in invoice["lines"]["data"]]
    assert all(one["proration"] for one in details)
    first = plans.invoices(sandbox, running["id"])[0]
    assert details[0]["proration_details"]["credited_items"] == {
        "invoice": first["id"],
        "invoice_line_items": [first["lines"]["data"][0]["id"]],
    }


@pytest.mark.parametrize("amount", [1, 50, 3000, 9999, 49_999])
@pytest.mark.parametrize("interval", ["month", "year"])
def test_a_preview_is_the_later_invoice_to_the_cent(
    sandbox: Sandbox, running: dict[str, Any], amount: int, interval: str
) -> None:
    other, at = plans.price(sandbox, amount, interval=interval), plans.now(sandbox)
    terms: dict[str, Any] = {"proration_behavior": "always_invoice", "proration_date": at}
    details = {"items": plans.to(running, other), **terms}
    before = sandbox.event_types()

    shown = plans.preview(sandbox, subscription=running["id"], subscription_details=details)
    unchanged = sandbox.event_types()
    sandbox.control("clock", advance_seconds=600)
    plans.swap(sandbox, running, other, **terms)

    assert unchanged == before
    invoice = plans.invoices(sandbox, running["id"])[-1]
    assert plans.lines(shown) == plans.lines(invoice)
    for name in ("subtotal", "total", "amount_due", "billing_reason", "starting_balance"):
        assert shown[name] == invoice[name]
    assert shown["id"].startswith("upcoming_in_")
    assert sandbox.books()["agrees"]


def test_a_preview_with_tax_and_discount_is_the_later_invoice(sandbox: Sandbox) -> None:
    sandbox.control("settings", tax_bps=1925)
    off = sandbox.api().v1.coupons.create(params={"percent_off": 15, "duration": "forever"})
    made = plans.subscribe(
        sandbox,
        plans.customer(sandbox),
        plans.price(sandbox, 2999),
        automatic_tax={"enabled": True},
        discounts=[{"coupon": off.id}],
    )
    plans.days(sandbox, 11.3)
    dear, at = plans.price(sandbox, 9999), plans.now(sandbox)
    terms: dict[str, Any] = {"proration_behavior": "always_invoice", "proration_date": at}

    details = {"items": plans.to(made, dear), **terms}
    shown = plans.preview(sandbox, subscription=made["id"], subscription_details=details)
    plans.swap(sandbox, made, dear, **terms)

    first, invoice = plans.invoices(sandbox, made["id"])
    period = plans.period(made)
    net = 2999 - 450  # 15 % of 29.99 is 4.4985
    assert (first["total"], first["total_taxes"][0]["amount"]) == (net + 491, 491)
    gross = share(9999, period, at)
    asked = gross - int(Fraction(gross * 15, 100) + Fraction(1, 2))
    assert plans.lines(invoice) == plans.lines(shown) == [-share(net, period, at), asked]
    assert invoice["total"] == shown["total"]
    tax = sum(one["amount"] for one in invoice["total_taxes"])
    assert invoice["total"] == sum(plans.lines(invoice)) + tax
    assert tax == pytest.approx(sum(plans.lines(invoice)) * 0.1925, abs=1)


def test_the_tax_that_was_paid_is_given_back_whatever_the_rate_is_now(sandbox: Sandbox) -> None:
    sandbox.control("settings", tax_bps=1000)
    made = plans.subscribe(
        sandbox,
        plans.customer(sandbox),
        plans.price(sandbox, 3000),
        automatic_tax={"enabled": True},
    )
    plans.days(sandbox, 10)
    sandbox.control("settings", tax_bps=2000)
    at = plans.now(sandbox)

    plans.swap(
        sandbox,
        made,
        plans.price(sandbox, 9000),
        proration_behavior="always_invoice",
        proration_date=at,
    )

    invoice = plans.invoices(sandbox, made["id"])[-1]
    period = plans.period(made)
    credit, asked = invoice["lines"]["data"]
    assert credit["taxes"][0]["amount"] == -share(300, period, at)
    assert asked["taxes"][0]["amount"] == pytest.approx(asked["amount"] * 0.2, abs=1)
    assert sandbox.books()["agrees"]


def test_of_a_coupon_over_an_amount_a_share_is_taken_off(sandbox: Sandbox) -> None:
    off: Any = {"amount_off": 1000, "currency": "usd", "duration": "forever"}
    coupon = sandbox.api().v1.coupons.create(params=off)
    made = plans.subscribe(
        sandbox,
        plans.customer(sandbox),
        plans.price(sandbox, 3000),
        discounts=[{"coupon": coupon.id}],
    )
    plans.days(sandbox, 10)
    at = plans.now(sandbox)

    plans.swap(
        sandbox,
        made,
        plans.price(sandbox, 9000),
        proration_behavior="always_invoice",
        proration_date=at,
    )

    invoice = plans.invoices(sandbox, made["id"])[-1]
    period = plans.period(made)
    asked = share(9000, period, at) - share(1000, period, at)
    assert plans.lines(invoice) == [-share(2000, period, at), asked]


def test_what_a_coupon_saved_is_not_given_back(sandbox: Sandbox) -> None:
    half = sandbox.api().v1.coupons.create(params={"percent_off": 50, "duration": "once"})
    made = plans.subscribe(
        sandbox,
        plans.customer(sandbox),
        plans.price(sandbox, 3000),
        discounts=[{"coupon": half.id}],
    )
    at = plans.now(sandbox) + 1
    sandbox.control("clock", advance_seconds=5)

    plans.swap(
        sandbox,
        made,
        plans.price(sandbox, 9000),
        proration_behavior="always_invoice",
        proration_date=at,
    )

    invoice = plans.invoices(sandbox, made["id"])[-1]
    period = plans.period(made)
    assert plans.lines(invoice) == [-share(1500, period, at), share(9000, period, at)]


def test_a_second_change_gives_back_what_the_first_one_billed(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    middle, dear = plans.price(sandbox, 5000), plans.price(sandbox, 9999)
    once = plans.now(sandbox)
    always: dict[str, Any] = {"proration_behavior": "always_invoice"}
    plans.swap(sandbox, running, middle, **always, proration_date=once)
    plans.days(sandbox, 3.5)
    twice = plans.now(sandbox)

    plans.swap(sandbox, running, dear, **always, proration_date=twice)

    period = plans.period(running)
    first, second = plans.invoices(sandbox, running["id"])[1:]
    billed = share(5000, period, once)
    assert plans.lines(first)[1] == billed
    assert plans.lines(second) == [
        -share(billed, (once, period[1]), twice),
        share(9999, period, twice),
    ]


def test_prorations_can_wait_for_the_next_period(sandbox: Sandbox, running: dict[str, Any]) -> None:
    dear, at = plans.price(sandbox, 9999), plans.now(sandbox)

    plans.swap(sandbox, running, dear, proration_date=at)
    assert len(plans.invoices(sandbox, running["id"])) == 1
    shown = plans.preview(sandbox, subscription=running["id"])
    plans.until(sandbox, plans.period(running)[1] + 2 * plans.HOUR_SECONDS)

    renewal = plans.invoices(sandbox, running["id"])[-1]
    period = plans.period(running)
    waited = [-share(2999, period, at), share(9999, period, at)]
    assert plans.lines(renewal) == plans.lines(shown) == [9999, *waited]
    assert shown["billing_reason"] == "upcoming"
    plans.days(sandbox, 35)
    assert plans.lines(plans.invoices(sandbox, running["id"])[-1]) == [9999]


def test_without_prorations_the_new_price_begins_with_the_next_period(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    dear = plans.price(sandbox, 9999)

    plans.swap(sandbox, running, dear, proration_behavior="none")
    plans.until(sandbox, plans.period(running)[1] + 2 * plans.HOUR_SECONDS)

    assert [plans.lines(one) for one in plans.invoices(sandbox, running["id"])] == [[2999], [9999]]


def test_another_interval_begins_a_new_cycle(sandbox: Sandbox, running: dict[str, Any]) -> None:
    yearly, at = plans.price(sandbox, 29_999, interval="year"), plans.now(sandbox)

    now = plans.swap(sandbox, running, yearly, proration_date=at)

    start, end = plans.period(now)
    assert start == now["billing_cycle_anchor"] == pytest.approx(at, abs=3)
    assert end - start in (365 * plans.DAY_SECONDS, 366 * plans.DAY_SECONDS)
    invoice = plans.invoices(sandbox, running["id"])[-1]
    assert plans.lines(invoice) == [-share(2999, plans.period(running), at), 29_999]
    plans.days(sandbox, 364)
    assert len(plans.invoices(sandbox, running["id"])) == 2
    plans.days(sandbox, 3)
    assert plans.lines(plans.invoices(sandbox, running["id"])[-1]) == [29_999]


def test_a_downgrade_at_once_leaves_a_balance_for_later(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    cheap = plans.price(sandbox, 100)

    plans.swap(sandbox, running, cheap, proration_behavior="always_invoice")

    invoice = plans.invoices(sandbox, running["id"])[-1]
    assert invoice["total"] < 0
    assert (invoice["status"], invoice["amount_due"]) == ("paid", 0)
    assert invoice["ending_balance"] == invoice["total"]
    customer = sandbox.api().v1.customers.retrieve(running["customer"])
    assert customer.balance == invoice["total"]
    plans.until(sandbox, plans.period(running)[1] + 2 * plans.HOUR_SECONDS)
    renewal = plans.invoices(sandbox, running["id"])[-1]
    assert (renewal["total"], renewal["amount_due"]) == (100, 0)
    assert renewal["ending_balance"] == renewal["starting_balance"] + 100
    assert sandbox.books()["agrees"]


def test_a_declined_upgrade_changes_nothing(sandbox: Sandbox, running: dict[str, Any]) -> None:
    sandbox.control(f"customers/{running['customer']}/card", card=plans.FAILING)
    before, told = plans.show(sandbox, running["id"]), sandbox.event_types()

    with pytest.raises(stripe.CardError) as declined:
        plans.swap(
            sandbox,
            running,
            plans.price(sandbox, 9999, product_data={"name": "Dear"}),
            proration_behavior="always_invoice",
            payment_behavior="error_if_incomplete",
        )

    assert (declined.value.http_status, declined.value.code) == (402, "card_declined")
    assert plans.show(sandbox, running["id"]) == before
    assert sandbox.event_types() == [*told, "product.created", "price.created"]


def test_a_declined_upgrade_may_leave_it_past_due(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    sandbox.control(f"customers/{running['customer']}/card", card=plans.FAILING)

    now = plans.swap(
        sandbox, running, plans.price(sandbox, 9999), proration_behavior="always_invoice"
    )

    assert now["status"] == "past_due"
    assert plans.invoices(sandbox, running["id"])[-1]["status"] == "open"


def test_a_date_outside_the_period_is_refused(sandbox: Sandbox, running: dict[str, Any]) -> None:
    dear = plans.price(sandbox, 9999)
    for at in (plans.period(running)[0] - 1, plans.period(running)[1] + 1):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            plans.swap(sandbox, running, dear, proration_date=at)
        assert refused.value.param == "proration_date"


def test_quantities_and_more_items_are_prorated_too(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    extra, at = plans.price(sandbox, 700), plans.now(sandbox)
    item = running["items"]["data"][0]["id"]

    plans.change(
        sandbox,
        running["id"],
        items=[{"id": item, "quantity": 3}, {"price": extra}],
        proration_behavior="always_invoice",
        proration_date=at,
    )

    period = plans.period(running)
    assert plans.lines(plans.invoices(sandbox, running["id"])[-1]) == [
        -share(2999, period, at),
        share(3 * 2999, period, at),
        share(700, period, at),
    ]
    plans.until(sandbox, period[1] + 2 * plans.HOUR_SECONDS)
    assert plans.lines(plans.invoices(sandbox, running["id"])[-1]) == [3 * 2999, 700]


def test_nothing_is_prorated_in_a_trial(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox)
    made = plans.subscribe(sandbox, who, plans.price(sandbox, 2999), trial_period_days=10)
    plans.days(sandbox, 4)

    changed = plans.swap(
        sandbox, made, plans.price(sandbox, 9999), proration_behavior="always_invoice"
    )
    plans.days(sandbox, 7)

    assert changed["status"] == "trialing"
    assert [plans.lines(one) for one in plans.invoices(sandbox, made["id"])] == [[0], [9999]]


def test_there_is_no_preview_where_nothing_is_to_come(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        plans.preview(
            sandbox,
            subscription=running["id"],
            subscription_details={"cancel_at_period_end": True},
        )
    assert refused.value.code == "invoice_upcoming_none"
    assert not plans.show(sandbox, running["id"])["cancel_at_period_end"]


def test_a_first_invoice_can_be_looked_at_before_there_is_a_subscription(
    sandbox: Sandbox,
) -> None:
    who, price = plans.customer(sandbox, card=None), plans.price(sandbox, 2999)

    shown = plans.preview(sandbox, customer=who, subscription_details={"items": [{"price": price}]})

    assert (shown["total"], shown["status"]) == (2999, "draft")
    assert not sandbox.api().v1.subscriptions.list(params={"status": "all"}).data
