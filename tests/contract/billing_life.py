"""The part of a shop's life that is billed by time: subscriptions, invoices, schedules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.sandbox import plans
from tests.sandbox.server import API_KEY, Sandbox

# path -> what can be expanded there
LISTS = {
    "/v1/invoice_payments": ["data.invoice", "data.payment.payment_intent"],
    "/v1/invoices": [
        "data.confirmation_secret",
        "data.customer",
        "data.discounts",
        "data.parent.subscription_details.subscription",
        "data.payments",
        "data.total_discount_amounts.discount",
    ],
    "/v1/subscription_schedules": ["data.customer", "data.phases.items.price", "data.subscription"],
    "/v1/subscriptions": [
        "data.customer",
        "data.default_payment_method",
        "data.discounts",
        "data.latest_invoice.payments",
        "data.pending_setup_intent",
        "data.schedule",
    ],
}

EVENTS = {
    *("customer.discount.created", "customer.discount.deleted"),
    *("customer.subscription.created", "customer.subscription.deleted"),
    *("customer.subscription.paused", "customer.subscription.resumed"),
    *("customer.subscription.trial_will_end", "customer.subscription.updated"),
    *("invoice.created", "invoice.finalized", "invoice.marked_uncollectible", "invoice.paid"),
    *("invoice.payment_action_required", "invoice.payment_failed", "invoice.payment_succeeded"),
    *("invoice.updated", "invoice.voided", "invoice_payment.paid", "payment_method.attached"),
    *("subscription_schedule.canceled", "subscription_schedule.completed"),
    *("subscription_schedule.created", "subscription_schedule.released"),
    *("subscription_schedule.updated",),
}


def live(sandbox: Sandbox) -> None:
    """Make everything happen that time and money can do to a subscription."""
    sandbox.control("settings", tax_bps=1900)
    cheap, dear = plans.price(sandbox, 2999), plans.price(sandbox, 9999)
    changed = _changed(sandbox, cheap, dear)
    paused = _paused(sandbox, cheap)
    failing = plans.subscribe(sandbox, plans.customer(sandbox), cheap)
    sandbox.control(f"customers/{failing['customer']}/card", card=plans.FAILING)
    _ended_by_schedule(sandbox, dear)
    plans.subscribe(
        sandbox, plans.customer(sandbox, card=None), dear, payment_behavior="default_incomplete"
    )
    plans.days(sandbox, 6)
    sandbox.control(f"customers/{paused['customer']}/card", card=plans.GOOD)
    sandbox.api().v1.subscriptions.resume(paused["id"])
    plans.days(sandbox, 27)
    _give_up(sandbox, failing)
    plans.days(sandbox, 31)
    plans.change(sandbox, changed["id"], cancel_at_period_end=True)
    plans.days(sandbox, 31)


def _changed(sandbox: Sandbox, cheap: str, dear: str) -> dict[str, Any]:
    """Begun with a coupon, made dearer at once, made cheaper by a schedule."""
    api = sandbox.api().v1
    coupon = api.coupons.create(params={"percent_off": 20, "duration": "once"})
    made = plans.subscribe(
        sandbox,
        plans.customer(sandbox),
        cheap,
        automatic_tax={"enabled": True},
        discounts=[{"coupon": coupon.id}],
        metadata={"order_id": "9"},
    )
    plans.swap(sandbox, made, dear, proration_behavior="always_invoice")
    schedule = plans.plain(
        api.subscription_schedules.create(params={"from_subscription": made["id"]})
    )
    now = schedule["phases"][0]
    planned: Any = {
        "phases": [
            {"items": [{"price": dear}], "end_date": now["end_date"]},
            {"items": [{"price": cheap}], "proration_behavior": "none"},
        ]
    }
    api.subscription_schedules.update(schedule["id"], params=planned)
    return made


def _paused(sandbox: Sandbox, price: str) -> dict[str, Any]:
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    return plans.subscribe(
        sandbox,
        plans.customer(sandbox, card=None),
        price,
        trial_period_days=5,
        trial_settings=settings,
    )


def _ended_by_schedule(sandbox: Sandbox, price: str) -> None:
    """One schedule is cancelled; another cancels with its last phase."""
    api = sandbox.api().v1.subscription_schedules
    first = plans.subscribe(sandbox, plans.customer(sandbox), price)
    api.cancel(api.create(params={"from_subscription": first["id"]}).id)
    weekly = plans.price(sandbox, 900, interval="week")
    second = plans.subscribe(sandbox, plans.customer(sandbox), weekly)
    made = api.create(params={"from_subscription": second["id"]})
    api.update(made.id, params={"end_behavior": "cancel"})


def _give_up(sandbox: Sandbox, failing: dict[str, Any]) -> None:
    """A card that must be asked for, then an invoice that is written off and taken back."""
    sandbox.control(f"customers/{failing['customer']}/card", card="4000002760003184")
    plans.days(sandbox, 5)
    owed = plans.invoices(sandbox, failing["id"])[-1]
    sandbox.api().v1.invoices.mark_uncollectible(owed["id"])
    sandbox.api().v1.invoices.void_invoice(owed["id"])


def everything(sandbox: Sandbox) -> Iterator[tuple[str, dict[str, str]]]:
    """(address, query) of what must be asked for in a way of its own."""
    yield "/v1/subscriptions", {"status": "all", "limit": "100"}
    yield "/v1/invoices", {"status": "open"}
    listed = sandbox.api().v1.subscriptions.list(params={"status": "all"})
    for subscription in listed.auto_paging_iter():
        shown = plans.plain(subscription)
        yield "/v1/subscription_items", {"subscription": shown["id"]}
        for item in shown["items"]["data"]:
            yield f"/v1/subscription_items/{item['id']}", {}
        yield f"/v1/invoices/{shown['latest_invoice']}/lines", {}


def previews(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """Invoices that are only looked at, as they go over the wire."""
    made = plans.subscribe(sandbox, plans.customer(sandbox), plans.price(sandbox, 700))
    item = plans.to(made, plans.price(sandbox, 7000))[0]
    details = "subscription_details"
    dearer = {
        f"{details}[items][0][id]": item["id"],
        f"{details}[items][0][price]": item["price"],
        f"{details}[proration_behavior]": "always_invoice",
    }
    for change in ({}, dearer):
        answer = sandbox.http.post(
            "/v1/invoices/create_preview",
            data={"subscription": made["id"], **change},
            headers={"Authorization": f"Bearer {API_KEY}"},
        )
        assert answer.status_code == 200, answer.text
        yield answer.json()
