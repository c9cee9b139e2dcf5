"""Schedules: a running subscription whose price changes later."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox import plans
from tests.sandbox.server import Sandbox


@pytest.fixture
def running(sandbox: Sandbox) -> dict[str, Any]:
    """A paid monthly subscription of 99.99."""
    return plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox, 9999))


def scheduled(
    sandbox: Sandbox, subscription: dict[str, Any], price: str, **more: Any
) -> dict[str, Any]:
    """A schedule under which the subscription changes to ``price`` at its period's end."""
    api = sandbox.api().v1.subscription_schedules
    made = plans.plain(api.create(params={"from_subscription": subscription["id"]}))
    given: Any = {"end_behavior": "release", "phases": phases(made, price), **more}
    return plans.plain(api.update(made["id"], params=given))


def phases(schedule: dict[str, Any], price: str) -> list[dict[str, Any]]:
    """The phase under way, and one month or more of ``price`` after it."""
    (now,) = schedule["phases"]
    kept = [{"price": one["price"], "quantity": one["quantity"]} for one in now["items"]]
    dates = {"start_date": now["start_date"], "end_date": now["end_date"]}
    return [
        {"items": kept, "proration_behavior": "none", **dates},
        {"items": [{"price": price, "quantity": 1}], "proration_behavior": "none"},
    ]


def test_a_schedule_begins_as_the_subscription_is(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    made = sandbox.api().v1.subscription_schedules.create(
        params={"from_subscription": running["id"]}
    )

    schedule = plans.plain(made)
    start, end = plans.period(running)
    assert schedule["status"] == "active"
    assert schedule["current_phase"] == {"start_date": start, "end_date": end}
    assert schedule["phases"][0]["items"][0]["price"] == running["items"]["data"][0]["price"]["id"]
    assert plans.show(sandbox, running["id"])["schedule"] == schedule["id"]
    told = sandbox.event_types()[-2:]
    assert told == ["subscription_schedule.created", "customer.subscription.updated"]


def test_the_price_changes_at_the_periods_end_without_proration(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    cheap = plans.price(sandbox, 2999)
    schedule = scheduled(sandbox, running, cheap)
    item = running["items"]["data"][0]["id"]
    shown = plans.preview(sandbox, subscription=running["id"])

    plans.until(sandbox, plans.period(running)[1] + 2 * plans.HOUR_SECONDS)

    now = plans.show(sandbox, running["id"])
    assert now["items"]["data"][0]["price"]["id"] == cheap
    assert now["items"]["data"][0]["id"] == item
    assert now["billing_cycle_anchor"] == running["billing_cycle_anchor"]
    assert [plans.lines(one) for one in plans.invoices(sandbox, running["id"])] == [[9999], [2999]]
    assert plans.lines(shown) == [2999]
    api = sandbox.api().v1.subscription_schedules
    assert api.retrieve(schedule["id"]).status == "active"
    plans.days(sandbox, 32)
    released = api.retrieve(schedule["id"])
    assert (released.status, released.released_subscription) == ("released", running["id"])
    assert plans.show(sandbox, running["id"])["schedule"] is None
    assert plans.lines(plans.invoices(sandbox, running["id"])[-1]) == [2999]
    assert plans.told(sandbox, "subscription_schedule.released")


def test_from_a_year_to_a_month_the_cycle_begins_anew(sandbox: Sandbox) -> None:
    plans.until_day(sandbox, 2027, 1, 31)
    made = plans.subscribe(
        sandbox, plans.customer(sandbox), plans.price(sandbox, 29_999, interval="year")
    )
    scheduled(sandbox, made, plans.price(sandbox, 2999))

    plans.days(sandbox, 365 + 60)

    invoices = plans.invoices(sandbox, made["id"])
    assert [plans.lines(one) for one in invoices] == [[29_999], [2999], [2999], [2999]]
    starts = [plans.day(one["lines"]["data"][0]["period"]["start"]) for one in invoices]
    assert starts == ["2027-01-31", "2028-01-31", "2028-02-29", "2028-03-31"]


def test_a_released_schedule_changes_nothing_any_more(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    schedule = scheduled(sandbox, running, plans.price(sandbox, 2999))
    api = sandbox.api().v1.subscription_schedules

    released = api.release(schedule["id"])
    plans.days(sandbox, 32)

    assert (released.status, released.subscription) == ("released", None)
    assert plans.show(sandbox, running["id"])["schedule"] is None
    assert plans.lines(plans.invoices(sandbox, running["id"])[-1]) == [9999]
    with pytest.raises(stripe.InvalidRequestError):
        api.release(schedule["id"])


def test_canceling_a_schedule_ends_its_subscription(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    schedule = scheduled(sandbox, running, plans.price(sandbox, 2999))

    canceled = sandbox.api().v1.subscription_schedules.cancel(schedule["id"])

    assert canceled.status == "canceled"
    assert plans.show(sandbox, running["id"])["status"] == "canceled"


def test_a_schedule_may_end_the_subscription_with_its_last_phase(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    schedule = scheduled(sandbox, running, plans.price(sandbox, 2999), end_behavior="cancel")

    plans.days(sandbox, 70)

    assert plans.show(sandbox, running["id"])["status"] == "canceled"
    assert len(plans.invoices(sandbox, running["id"])) == 2
    ended = sandbox.api().v1.subscription_schedules.retrieve(schedule["id"])
    assert ended.status == "completed"


def test_a_scheduled_subscription_does_not_take_a_planned_end(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    schedule = scheduled(sandbox, running, plans.price(sandbox, 2999))

    with pytest.raises(stripe.InvalidRequestError, match=schedule["id"]):
        plans.change(sandbox, running["id"], cancel_at_period_end=True)


def test_an_upgrade_in_between_is_kept_by_the_phase_under_way(
    sandbox: Sandbox, running: dict[str, Any]
) -> None:
    cheap, dear = plans.price(sandbox, 2999), plans.price(sandbox, 49_999)
    schedule = scheduled(sandbox, running, cheap)

    plans.swap(sandbox, running, dear, proration_behavior="always_invoice")
    now = sandbox.api().v1.subscription_schedules.retrieve(schedule["id"])
    plans.until(sandbox, plans.period(running)[1] + 2 * plans.HOUR_SECONDS)

    assert plans.plain(now)["phases"][0]["items"][0]["price"] == dear
    assert plans.lines(plans.invoices(sandbox, running["id"])[-1]) == [2999]


def test_one_schedule_at_a_time(sandbox: Sandbox, running: dict[str, Any]) -> None:
    schedule = scheduled(sandbox, running, plans.price(sandbox, 2999))
    api = sandbox.api().v1.subscription_schedules

    with pytest.raises(stripe.InvalidRequestError, match=schedule["id"]):
        api.create(params={"from_subscription": running["id"]})

    listed = api.list(params={"customer": running["customer"]}).data
    assert [one.id for one in listed] == [schedule["id"]]


def test_phases_follow_on_from_each_other(sandbox: Sandbox, running: dict[str, Any]) -> None:
    api = sandbox.api().v1.subscription_schedules
    made = plans.plain(api.create(params={"from_subscription": running["id"]}))
    planned = phases(made, plans.price(sandbox, 2999))
    planned[1]["start_date"] = made["phases"][0]["end_date"] + 1

    given: Any = {"phases": planned}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.update(made["id"], params=given)

    assert refused.value.param == "phases[1][start_date]"


def test_a_phase_may_last_as_long_as_it_says(sandbox: Sandbox, running: dict[str, Any]) -> None:
    cheap = plans.price(sandbox, 2999)
    api = sandbox.api().v1.subscription_schedules
    made = plans.plain(api.create(params={"from_subscription": running["id"]}))
    planned = phases(made, cheap)
    planned[1]["duration"] = {"interval": "month", "interval_count": 3}
    back = {"items": planned[0]["items"], "proration_behavior": "none"}

    given: Any = {"phases": [*planned, back]}
    api.update(made["id"], params=given)
    plans.days(sandbox, 125)

    found = [plans.lines(one) for one in plans.invoices(sandbox, running["id"])]
    assert found == [[9999], [2999], [2999], [2999], [9999]]
    assert sandbox.books()["agrees"]
