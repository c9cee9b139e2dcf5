"""Whatever is asked of subscriptions that exist, the API answers in Stripe's way."""

from __future__ import annotations

from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.stripe import (
    invoice_acts,
    invoice_payments,
    invoice_previews,
    invoices,
    subscription_items,
    subscription_schedules,
    subscription_updates,
    subscriptions,
)
from tests.sandbox import plans
from tests.sandbox.server import API_KEY, Sandbox

NOUNS = (
    *(invoice_acts, invoice_payments, invoice_previews, invoices, subscription_items),
    *(subscription_schedules, subscription_updates, subscriptions),
)
ROUTES = [route for noun in NOUNS for route in noun.ROUTES]
# parameter -> what it may hold, as named in ``_world``
PARAMETERS = {
    "auto_advance": "flag",
    "automatic_tax[enabled]": "flag",
    "billing_cycle_anchor": "anchor",
    "cancel_at": "moment",
    "cancel_at_period_end": "flag",
    "customer": "customer",
    "default_payment_method": "method",
    "discounts[0][coupon]": "coupon",
    "end_behavior": "ending",
    "from_subscription": "subscription",
    "invoice": "invoice",
    "items[0][deleted]": "flag",
    "items[0][id]": "item",
    "items[0][price]": "price",
    "items[0][quantity]": "number",
    "items[1][price]": "price",
    "limit": "number",
    "metadata[a]": "word",
    "paid_out_of_band": "flag",
    "payment_behavior": "payment_behavior",
    "payment_method": "method",
    "phases[0][end_date]": "moment",
    "phases[0][items][0][price]": "price",
    "phases[0][start_date]": "moment",
    "phases[1][duration][interval]": "interval",
    "phases[1][items][0][price]": "price",
    "phases[1][proration_behavior]": "behavior",
    "price": "price",
    "proration_behavior": "behavior",
    "proration_date": "moment",
    "quantity": "number",
    "status": "status",
    "subscription": "subscription",
    "subscription_details[cancel_at_period_end]": "flag",
    "subscription_details[items][0][id]": "item",
    "subscription_details[items][0][price]": "price",
    "subscription_details[proration_behavior]": "behavior",
    "subscription_details[proration_date]": "moment",
    "subscription_details[trial_end]": "moment",
    "trial_end": "moment",
    "trial_period_days": "number",
}
WORDS: dict[str, list[str]] = {
    "anchor": ["now", "unchanged"],
    "behavior": ["always_invoice", "create_prorations", "none"],
    "ending": ["cancel", "release"],
    "flag": ["true", "false"],
    "interval": ["day", "week", "month", "year"],
    "number": ["0", "1", "3", "999999"],
    "payment_behavior": ["allow_incomplete", "default_incomplete", "error_if_incomplete"],
    "status": ["all", "active", "canceled", "open", "paid", "draft"],
    "word": ["", "a", "\U0001f4b8"],
}
NASTY = ["", "-1", "now", "9" * 15, "9007199254740992", "none", "\0", "'; --", "{}"]


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_request_makes_the_api_fail(sandbox: Sandbox, data: st.DataObject) -> None:
    known = _world(sandbox)
    route = data.draw(st.sampled_from(ROUTES))
    noun = route.path.split("/")[2].removesuffix("s").removeprefix("subscription_")
    path = route.path.replace(":id", data.draw(st.sampled_from([*known[noun], "none"])))
    possible = [name for name in PARAMETERS if name.split("[")[0] in route.fields]
    names = data.draw(st.lists(st.sampled_from(possible), max_size=5)) if possible else []
    names += [name for name in possible if name.split("[")[0] in route.required]
    form = {
        name: data.draw(st.sampled_from(known[PARAMETERS[name]] * 20 + NASTY)) for name in names
    }

    answer = sandbox.http.request(
        route.method,
        path,
        params=None if route.method == "POST" else form,
        content=urlencode(form) if route.method == "POST" else None,
        headers={
            "Authorization": f"Bearer {API_KEY}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
    )

    assert answer.status_code in (200, 400, 402, 404), (route.method, path, form, answer.text)
    assert sandbox.look("books")["stripe"]["agrees"], (route.method, path, form)


_WORLDS: dict[int, dict[str, list[str]]] = {}


def _world(sandbox: Sandbox) -> dict[str, list[str]]:
    """What there is of each kind in a small shop, made anew when nothing in it runs any more."""
    running = sandbox.api().v1.subscriptions.list(params={"limit": 1}).data
    if running and id(sandbox) in _WORLDS:
        return _WORLDS[id(sandbox)]
    api, who = sandbox.api().v1, plans.customer(sandbox)
    prices = [plans.price(sandbox, 2999), plans.price(sandbox, 100, interval="year")]
    subs = [
        plans.subscribe(sandbox, who, prices[0]),
        plans.subscribe(sandbox, who, prices[1], trial_period_days=9),
        plans.subscribe(sandbox, who, prices[0], payment_behavior="default_incomplete"),
    ]
    schedule = api.subscription_schedules.create(params={"from_subscription": subs[0]["id"]})
    moments = [*plans.period(subs[0]), *plans.period(subs[1]), plans.now(sandbox) + 60]
    payment = api.invoice_payments.list(params={"limit": 1}).data[0]
    _WORLDS[id(sandbox)] = {
        **WORDS,
        "coupon": [api.coupons.create(params={"percent_off": 10}).id],
        "customer": [who],
        "invoice": [str(one["latest_invoice"]) for one in subs],
        "invoice_payment": [payment.id],
        "item": [one["items"]["data"][0]["id"] for one in subs],
        "method": [api.payment_methods.list(params={"customer": who}).data[0].id],
        "moment": [str(moment) for moment in moments],
        "price": prices,
        "schedule": [schedule.id],
        "subscription": [one["id"] for one in subs],
    }
    return _WORLDS[id(sandbox)]
