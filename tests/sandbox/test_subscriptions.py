"""Subscriptions: begun, shown, renewed, ended."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import stripe

from tests.sandbox import plans
from tests.sandbox.server import Sandbox


def test_a_subscription_is_paid_at_once_and_active(sandbox: Sandbox) -> None:
    who, price = plans.customer(sandbox), plans.price(sandbox, 2999)

    made = plans.subscribe(sandbox, who, price, metadata={"order_id": "7"})

    assert made["status"] == "active"
    start, end = plans.period(made)
    assert start == made["created"] == made["billing_cycle_anchor"]
    assert 28 * plans.DAY_SECONDS <= end - start <= 31 * plans.DAY_SECONDS
    (invoice,) = plans.invoices(sandbox, made["id"])
    assert (invoice["status"], invoice["total"]) == ("paid", 2999)
    assert invoice["billing_reason"] == "subscription_create"
    assert invoice["parent"]["subscription_details"]["metadata"] == {"order_id": "7"}
    books = sandbox.books()
    (charge,) = books["charges"]
    assert (charge["invoice"], charge["subscription"]) == (invoice["id"], made["id"])
    assert charge["order_id"] == "7"
    (kept,) = books["subscriptions"]
    assert [one["amount"] for one in kept["periods"]] == [2999]


def test_events_come_in_stripes_order(sandbox: Sandbox) -> None:
    who, price = plans.customer(sandbox), plans.price(sandbox)
    before = len(sandbox.event_types())

    plans.subscribe(sandbox, who, price)

    assert sandbox.event_types()[before:] == [
        "customer.subscription.created",
        "invoice.created",
        "customer.updated",
        "invoice.finalized",
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
        "invoice_payment.paid",
        "customer.subscription.updated",
    ]
    (updated,) = plans.told(sandbox, "customer.subscription.updated")
    assert updated["data"]["previous_attributes"]["status"] == "incomplete"


def test_without_a_payment_method_it_is_refused(sandbox: Sandbox) -> None:
    who, price = plans.customer(sandbox, card=None), plans.price(sandbox)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        plans.subscribe(sandbox, who, price)

    assert refused.value.code == "resource_missing"
    assert not sandbox.api().v1.subscriptions.list(params={"status": "all"}).data


def test_a_declined_first_payment_leaves_it_incomplete_for_23_hours(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox, card="pm_card_chargeCustomerFail")
    made = plans.subscribe(sandbox, who, plans.price(sandbox))
    assert made["status"] == "incomplete"

    plans.days(sandbox, 22.5 / 24)
    assert plans.show(sandbox, made["id"])["status"] == "incomplete"
    plans.days(sandbox, 1 / 24)

    assert plans.show(sandbox, made["id"])["status"] == "incomplete_expired"
    (invoice,) = plans.invoices(sandbox, made["id"])
    assert invoice["status"] == "void"
    assert not sandbox.books()["currencies"].get("usd", {}).get("gross")


def test_paying_the_first_invoice_later_begins_it(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox, card=None)
    made = plans.subscribe(
        sandbox, who, plans.price(sandbox), payment_behavior="default_incomplete"
    )
    assert made["status"] == "incomplete"

    paid = sandbox.control(f"invoices/{made['latest_invoice']}/pay", card=plans.GOOD)

    assert paid["status"] == "paid"
    assert plans.show(sandbox, made["id"])["status"] == "active"


def test_error_if_incomplete_makes_nothing(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox, card="pm_card_chargeCustomerFail")
    price = plans.price(sandbox)
    before = sandbox.event_types()

    with pytest.raises(stripe.CardError) as declined:
        plans.subscribe(sandbox, who, price, payment_behavior="error_if_incomplete")

    assert declined.value.http_status == 402
    assert not sandbox.api().v1.subscriptions.list(params={"status": "all"}).data
    assert sandbox.event_types() == before


def test_a_month_from_the_31st_is_cut_and_comes_back(sandbox: Sandbox) -> None:
    plans.until_day(sandbox, 2027, 1, 31)
    who = plans.customer(sandbox)
    made = plans.subscribe(sandbox, who, plans.price(sandbox))

    plans.days(sandbox, 130)

    starts = [one["lines"]["data"][0]["period"] for one in plans.invoices(sandbox, made["id"])]
    assert [plans.day(one["start"]) for one in starts] == [
        "2027-01-31",
        "2027-02-28",
        "2027-03-31",
        "2027-04-30",
        "2027-05-31",
    ]
    assert all(one["end"] == following["start"] for one, following in pairwise(starts))


def test_the_29th_of_february_is_a_28th_three_years_of_four(sandbox: Sandbox) -> None:
    plans.until_day(sandbox, 2028, 2, 29)
    who = plans.customer(sandbox)
    made = plans.subscribe(sandbox, who, plans.price(sandbox, interval="year"))

    plans.days(sandbox, 4 * 366)

    starts = [
        plans.day(one["lines"]["data"][0]["period"]["start"])
        for one in plans.invoices(sandbox, made["id"])
    ]
    assert starts == ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]


def test_a_trial_costs_nothing_warns_and_is_paid_at_its_end(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox)
    made = plans.subscribe(sandbox, who, plans.price(sandbox), trial_period_days=14)
    assert (made["status"], made["trial_end"]) == ("trialing", plans.period(made)[1])

    plans.days(sandbox, 10.9)
    assert not plans.told(sandbox, "customer.subscription.trial_will_end")
    plans.days(sandbox, 0.2)
    (warning,) = plans.told(sandbox, "customer.subscription.trial_will_end")
    assert warning["created"] == made["trial_end"] - 3 * plans.DAY_SECONDS
    plans.days(sandbox, 4)

    now = plans.show(sandbox, made["id"])
    free, first = plans.invoices(sandbox, made["id"])
    assert now["status"] == "active"
    assert (free["total"], free["status"]) == (0, "paid")
    assert (first["total"], first["billing_reason"]) == (2999, "subscription_cycle")
    assert first["lines"]["data"][0]["period"]["start"] == made["trial_end"]
    assert len(sandbox.books()["charges"]) == 1


def test_a_short_trial_warns_at_once(sandbox: Sandbox) -> None:
    plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox), trial_period_days=2)

    assert len(plans.told(sandbox, "customer.subscription.trial_will_end")) == 1


@pytest.mark.parametrize(("behavior", "status"), [("cancel", "canceled"), ("pause", "paused")])
def test_a_trial_without_a_card_ends_as_its_settings_say(
    sandbox: Sandbox, behavior: str, status: str
) -> None:
    who = plans.customer(sandbox, card=None)
    settings = {"end_behavior": {"missing_payment_method": behavior}}
    made = plans.subscribe(
        sandbox, who, plans.price(sandbox), trial_period_days=5, trial_settings=settings
    )

    plans.days(sandbox, 6)

    assert plans.show(sandbox, made["id"])["status"] == status
    assert len(plans.invoices(sandbox, made["id"])) == 1


def test_a_paused_subscription_is_resumed_with_a_new_cycle(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox, card=None)
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    made = plans.subscribe(
        sandbox, who, plans.price(sandbox), trial_period_days=5, trial_settings=settings
    )
    plans.days(sandbox, 8)
    sandbox.control(f"customers/{who}/card", card=plans.GOOD)

    sandbox.api().v1.subscriptions.resume(made["id"])

    now = plans.show(sandbox, made["id"])
    assert now["status"] == "active"
    assert plans.period(now)[0] == pytest.approx(plans.now(sandbox), abs=2)
    assert plans.invoices(sandbox, made["id"])[-1]["status"] == "paid"
    assert len(plans.told(sandbox, "customer.subscription.resumed")) == 1


def test_ending_a_trial_now_bills_the_first_period(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox)
    made = plans.subscribe(sandbox, who, plans.price(sandbox), trial_period_days=14)
    plans.days(sandbox, 1)

    ended = plans.change(sandbox, made["id"], trial_end="now")

    assert ended["status"] == "active"
    assert plans.lines(plans.invoices(sandbox, made["id"])[-1]) == [2999]
    assert plans.period(ended)[0] == pytest.approx(plans.now(sandbox), abs=2)


def test_cancel_at_period_end_ends_it_without_an_invoice(sandbox: Sandbox) -> None:
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox))
    planned = plans.change(sandbox, made["id"], cancel_at_period_end=True)
    assert planned["status"] == "active"
    assert planned["cancel_at"] == plans.period(made)[1]

    plans.days(sandbox, 32)

    ended = plans.show(sandbox, made["id"])
    assert ended["status"] == "canceled"
    assert ended["ended_at"] == plans.period(made)[1]
    assert len(plans.invoices(sandbox, made["id"])) == 1
    (deleted,) = plans.told(sandbox, "customer.subscription.deleted")
    assert deleted["created"] == plans.period(made)[1]


def test_a_planned_end_can_be_called_off(sandbox: Sandbox) -> None:
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox))
    plans.change(sandbox, made["id"], cancel_at_period_end=True)

    kept = plans.change(sandbox, made["id"], cancel_at_period_end=False)
    plans.days(sandbox, 32)

    assert (kept["cancel_at"], kept["canceled_at"]) == (None, None)
    assert plans.show(sandbox, made["id"])["status"] == "active"


def test_canceling_now_ends_it_and_its_billing(sandbox: Sandbox) -> None:
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox))

    ended = plans.plain(sandbox.api().v1.subscriptions.cancel(made["id"]))
    plans.days(sandbox, 70)

    assert ended["status"] == "canceled"
    assert ended["cancellation_details"]["reason"] == "cancellation_requested"
    assert len(plans.invoices(sandbox, made["id"])) == 1
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.api().v1.subscriptions.cancel(made["id"])
    with pytest.raises(stripe.InvalidRequestError):
        plans.change(sandbox, made["id"], metadata={"a": "b"})


def test_a_deleted_customer_is_billed_no_more(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox)
    made = plans.subscribe(sandbox, who, plans.price(sandbox))

    sandbox.api().v1.customers.delete(who)
    plans.days(sandbox, 40)

    assert plans.show(sandbox, made["id"])["status"] == "canceled"
    assert len(plans.invoices(sandbox, made["id"])) == 1


def test_lists_filter_by_customer_price_and_status(sandbox: Sandbox) -> None:
    who, other = plans.customer(sandbox), plans.customer(sandbox)
    small, large = plans.price(sandbox, 500), plans.price(sandbox, 900)
    first = plans.subscribe(sandbox, who, small)
    second = plans.subscribe(sandbox, other, large)
    sandbox.api().v1.subscriptions.cancel(second["id"])
    api = sandbox.api().v1.subscriptions

    def ids(**params: str) -> list[str]:
        given: dict[str, str] = params
        return [one.id for one in api.list(params=given).data]  # type: ignore[arg-type]

    assert ids() == [first["id"]]
    assert ids(status="all") == [second["id"], first["id"]]
    assert ids(status="canceled") == ids(status="ended") == [second["id"]]
    assert ids(customer=other, status="all") == ids(price=large, status="all") == [second["id"]]
    customer = sandbox.api().v1.customers.retrieve(who, params={"expand": ["subscriptions"]})
    assert [one["id"] for one in plans.plain(customer)["subscriptions"]["data"]] == [first["id"]]


def test_one_time_and_inactive_prices_are_refused(sandbox: Sandbox) -> None:
    who = plans.customer(sandbox)
    once = sandbox.api().v1.prices.create(
        params={"currency": "usd", "unit_amount": 100, "product_data": {"name": "Once"}}
    )
    gone = plans.price(sandbox)
    sandbox.api().v1.prices.update(gone, params={"active": False})

    for price in (once.id, gone, "price_nowhere"):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            plans.subscribe(sandbox, who, price)
        assert refused.value.param == "items[0][price]"


def test_what_is_not_modelled_is_refused_by_name(sandbox: Sandbox) -> None:
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox))

    with pytest.raises(stripe.InvalidRequestError) as refused:
        sandbox.api().v1.subscriptions.cancel(made["id"], params={"prorate": True})

    assert refused.value.code == "sandbox_not_modelled"


def test_prices_are_found_by_interval_type_product_and_lookup_key(sandbox: Sandbox) -> None:
    monthly = plans.price(sandbox, 500, lookup_key="plan_month")
    yearly = plans.price(sandbox, 5000, interval="year", lookup_key="plan_year")
    quarterly = plans.price(sandbox, 1400, interval="month", count=3)
    api = sandbox.api().v1.prices
    once = api.create(
        params={"currency": "usd", "unit_amount": 100, "product_data": {"name": "Once"}}
    )

    def ids(**params: Any) -> list[str]:
        given: Any = params
        return [one.id for one in api.list(params=given).data]

    assert ids(recurring={"interval": "month"}) == [quarterly, monthly]
    assert ids(type="recurring") == [quarterly, yearly, monthly]
    assert ids(type="one_time") == [once.id]
    assert ids(lookup_keys=["plan_month", "plan_year"]) == [yearly, monthly]
    assert ids(product=str(once.product)) == [once.id]
    shown = plans.plain(api.retrieve(quarterly))
    assert (shown["recurring"]["interval"], shown["recurring"]["interval_count"]) == ("month", 3)


def test_a_quarterly_subscription_renews_every_third_month(sandbox: Sandbox) -> None:
    plans.until_day(sandbox, 2027, 11, 30)
    price = plans.price(sandbox, 1400, interval="month", count=3)
    made = plans.subscribe(sandbox, plans.customer(sandbox), price)

    plans.days(sandbox, 200)

    starts = [
        plans.day(one["lines"]["data"][0]["period"]["start"])
        for one in plans.invoices(sandbox, made["id"])
    ]
    assert starts == ["2027-11-30", "2028-02-29", "2028-05-30"]
