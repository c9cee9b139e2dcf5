"""Phases of subscription schedules: read, shown, and put on the subscription."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import discounts, subscription_docs, subscription_params
from sandbox.stripe.context import Context
from sandbox.stripe.errors import bad_param, not_modelled
from sandbox.stripe.params import (
    Fields,
    array,
    boolean,
    clearable,
    currency,
    group,
    integer,
    merged,
    metadata,
    not_here,
    text,
)
from sandbox.stripe.periods import DAY_SECONDS, boundary

PRORATIONS = subscription_params.PRORATIONS
MAX_AHEAD_DAYS = 3660
INTERVALS = ("day", "week", "month", "year")

ITEM: Fields = {
    **not_here("billing_thresholds discounts price_data tax_rates"),
    "metadata": metadata,
    "plan": text(),
    "price": text(),
    "quantity": integer(0, 999_999),
}
PHASE: Fields = {
    **not_here(
        "add_invoice_items application_fee_percent billing_thresholds default_tax_rates "
        "invoice_settings on_behalf_of transfer_data trial"
    ),
    "automatic_tax": group({"enabled": boolean, **not_here("liability")}, required=("enabled",)),
    "billing_cycle_anchor": text(one_of=("automatic",)),
    "collection_method": text(one_of=("charge_automatically",)),
    "currency": currency,
    "default_payment_method": text(),
    "description": clearable(text(500)),
    "discounts": array(group({**not_here("coupon promotion_code"), "discount": text()})),
    "duration": group(
        {"interval": text(one_of=INTERVALS), "interval_count": integer(1, 36)},
        required=("interval",),
    ),
    "end_date": subscription_params.now_or(integer(1)),
    "items": array(group(ITEM), maximum=20),
    "metadata": metadata,
    "proration_behavior": text(one_of=PRORATIONS),
    "start_date": subscription_params.now_or(integer(1)),
    "trial_end": integer(1),
}
PHASES = array(group(PHASE, required=("items",)), maximum=10)


def settings_of(subscription: Json) -> Json:
    """A schedule's ``default_settings``."""
    return {
        "application_fee_percent": None,
        "automatic_tax": subscription["automatic_tax"],
        "billing_cycle_anchor": "automatic",
        "billing_thresholds": None,
        "collection_method": "charge_automatically",
        "default_payment_method": subscription["default_payment_method"],
        "default_source": None,
        "description": None,
        "invoice_settings": {
            **dict.fromkeys(("account_tax_ids", "custom_fields", "description", "footer")),
            "days_until_due": None,
            "issuer": {"type": "self"},
        },
        "on_behalf_of": None,
        "transfer_data": None,
    }


def of_subscription(subscription: Json) -> Json:
    """The phase that says what the subscription is now, until its period ends."""
    start, end = subscription_docs.period_of(subscription)
    phase = _shape(subscription, start=start, end=end)
    phase["items"] = items_shown(subscription)
    phase["metadata"] = subscription["metadata"]
    if subscription["status"] == "trialing":
        phase["trial_end"] = subscription["trial_end"]
    return phase


def _shape(subscription: Json, *, start: int, end: int) -> Json:
    enabled = subscription["automatic_tax"]["enabled"]
    return {
        "add_invoice_items": [],
        "application_fee_percent": None,
        "automatic_tax": subscription_docs.tax_shown(enabled=enabled),
        "billing_cycle_anchor": None,
        "billing_thresholds": None,
        "collection_method": None,
        "currency": subscription["currency"],
        "default_payment_method": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [
            {"coupon": None, "discount": id, "promotion_code": None}
            for id in subscription["discounts"]
        ],
        "end_date": end,
        "invoice_settings": None,
        "items": [],
        "metadata": {},
        "on_behalf_of": None,
        "proration_behavior": "create_prorations",
        "start_date": start,
        "transfer_data": None,
        "trial_end": None,
    }


def items_shown(subscription: Json) -> list[Json]:
    """The subscription's items as a phase shows them."""
    return [
        _item(item["price"]["id"], item["quantity"], item["metadata"])
        for item in subscription_docs.items_of(subscription)
    ]


def _item(price: str, quantity: int, metadata: Json) -> Json:
    return {
        "billing_thresholds": None,
        "discounts": [],
        "metadata": metadata,
        "plan": price,
        "price": price,
        "quantity": quantity,
        "tax_rates": [],
    }


def read(context: Context, subscription: Json, schedule: Json, sent: list[Json]) -> list[Json]:
    """The phases sent, one after another. Raises StripeError where they leave a gap or go back."""
    current = schedule["current_phase"]
    phases: list[Json] = []
    for place, one in enumerate(sent):
        path = f"phases[{place}]"
        follows = phases[-1]["end_date"] if phases else current["start_date"]
        start = one.get("start_date", follows)
        if start == "now":
            raise not_modelled(f"{path}[start_date]=now")
        if start != follows:
            expected = "must begin with the current phase" if not phases else "must follow on"
            message = f"The phases {expected}: {path}[start_date] should be {follows}."
            raise bad_param(message, f"{path}[start_date]")
        phases.append(_read_phase(context, subscription, one, path, start=start))
        end = phases[-1]["end_date"]
        if not start < end <= context.now + MAX_AHEAD_DAYS * DAY_SECONDS:
            message = "A phase must end after it starts, and within ten years."
            raise bad_param(message, f"{path}[end_date]")
    if not phases:
        raise bad_param("A schedule must have at least one phase.", "phases")
    _need_unchanged(subscription, phases, context.now)
    return phases


def _read_phase(context: Context, subscription: Json, sent: Json, path: str, *, start: int) -> Json:
    phase = _shape(subscription, start=start, end=start)
    for place, one in enumerate(sent["items"]):
        price = subscription_params.need_price(context, one, f"{path}[items][{place}]")
        given = merged({}, one.get("metadata"))
        phase["items"].append(_item(price["id"], one.get("quantity", 1), given))
        phase["end_date"] = boundary(start, price["recurring"], 1)
    if not phase["items"]:
        raise bad_param("A phase must have at least one item.", f"{path}[items]")
    if "duration" in sent:
        length = {"interval_count": 1, **sent["duration"]}
        phase["end_date"] = boundary(start, length, 1)
    end = sent.get("end_date", phase["end_date"])
    phase["end_date"] = context.now if end == "now" else end
    phase["proration_behavior"] = sent.get("proration_behavior", "create_prorations")
    phase["metadata"] = merged({}, sent.get("metadata"))
    phase["description"] = sent.get("description")
    phase["default_payment_method"] = sent.get("default_payment_method")
    if "automatic_tax" in sent:
        enabled = sent["automatic_tax"]["enabled"]
        phase["automatic_tax"] = subscription_docs.tax_shown(enabled=enabled)
    if "discounts" in sent:
        kept = [one["discount"] for one in sent["discounts"]]
        empty = {"coupon": None, "promotion_code": None}
        phase["discounts"] = [{**empty, "discount": id} for id in kept]
    if sent.get("trial_end") not in (None, subscription["trial_end"]):
        raise not_modelled(f"{path}[trial_end]")
    phase["trial_end"] = sent.get("trial_end")
    return phase


def _need_unchanged(subscription: Json, phases: list[Json], now: int) -> None:
    """What is under way is changed on the subscription, not by its schedule."""
    running = [place for place, one in enumerate(phases) if one["end_date"] > now]
    if not running:
        return
    phase = phases[running[0]]
    shown = {(one["price"], one["quantity"]) for one in items_shown(subscription)}
    if {(one["price"], one["quantity"]) for one in phase["items"]} != shown:
        raise not_modelled(f"phases[{running[0]}][items] other than the subscription's")


def at(schedule: Json, moment: int) -> Json | None:
    """The phase that is under way at ``moment``."""
    for phase in schedule["phases"]:
        if phase["start_date"] <= moment < phase["end_date"]:
            found: Json = phase
            return found
    return None


def apply(context: Context, subscription: Json, phase: Json) -> None:
    """Put the phase's items and settings on the subscription; the items keep their ids."""
    old = subscription_docs.items_of(subscription)
    period = subscription_docs.period_of(subscription)
    items = []
    for place, one in enumerate(phase["items"]):
        price = context.need("price", one["price"])
        made = subscription_docs.item_of(
            context, subscription["id"], price, quantity=one["quantity"]
        )
        kept = {name: old[place][name] for name in ("id", "created")} if place < len(old) else {}
        items.append({**made, **kept, "metadata": one["metadata"]})
    subscription_docs.set_items(subscription, items)
    subscription_docs.set_period(subscription, period)
    subscription["metadata"] = {**subscription["metadata"], **phase["metadata"]}
    subscription["automatic_tax"] = phase["automatic_tax"]
    for name in ("default_payment_method", "description"):
        subscription[name] = phase[name] or subscription[name]
    named = {one["discount"] for one in phase["discounts"]}
    for id in subscription["discounts"]:
        if id not in named:
            discounts.finish(context, id)
    subscription["discounts"] = [id for id in subscription["discounts"] if id in named]


def same_cycle(subscription: Json, old: list[Json]) -> bool:
    """Whether the subscription bills as often as with the items ``old``."""
    recurring, other = subscription_docs.recurring_of(subscription), old[0]["price"]["recurring"]
    return all(recurring[name] == other[name] for name in ("interval", "interval_count"))
