"""Subscriptions as documents: their shape, their items, and when something next falls due."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import discounts, events, ids
from sandbox.stripe.context import Context, copied
from sandbox.stripe.periods import DAY_SECONDS

KIND = "subscription"
ITEM = "subscription_item"
ENDED = ("canceled", "incomplete_expired")
FIRST_PAYMENT_SECONDS = 23 * 3600
TRIAL_WARNING_SECONDS = 3 * DAY_SECONDS

# Empty for good: see "What is not modelled" in the README.
UNSET = (
    "application",
    "application_fee_percent",
    "billing_cycle_anchor_config",
    "billing_thresholds",
    "customer_account",
    "days_until_due",
    "default_source",
    "next_pending_invoice_item_invoice",
    "on_behalf_of",
    "pending_invoice_item_interval",
    "pending_setup_intent",
    "pending_update",
    "test_clock",
    "transfer_data",
)


_AT_FIRST: Json = {
    **dict.fromkeys(UNSET),
    "billing_schedules": [],
    "cancel_at": None,
    "cancel_at_period_end": False,
    "canceled_at": None,
    "cancellation_details": dict.fromkeys(("comment", "feedback", "feedback_option", "reason")),
    "collection_method": "charge_automatically",
    "default_payment_method": None,
    "default_tax_rates": [],
    "description": None,
    "discounts": [],
    "ended_at": None,
    "invoice_settings": {
        **dict.fromkeys(("account_tax_ids", "custom_fields", "description", "footer")),
        "issuer": {"type": "self"},
    },
    "items": {"object": "list", "data": [], "has_more": False},
    "latest_invoice": None,
    "livemode": False,
    "managed_payments": {"enabled": False},
    "metadata": {},
    "pause_collection": None,
    "payment_settings": {
        "payment_method_options": None,
        "payment_method_types": None,
        "save_default_payment_method": "off",
    },
    "schedule": None,
    "status": "incomplete",
    "trial_end": None,
    "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    "trial_start": None,
}


def build(context: Context, *, customer: str, currency: str) -> Json:
    """A subscription without items, that begins now and waits for its first payment."""
    return {
        **copied(_AT_FIRST),
        "id": ids.new("sub"),
        "object": KIND,
        "automatic_tax": tax_shown(enabled=False),
        "billing_cycle_anchor": context.now,
        "billing_mode": {
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": context.now,
        },
        "created": context.now,
        "currency": currency,
        "customer": customer,
        "start_date": context.now,
    }


def tax_shown(*, enabled: bool) -> Json:
    """A subscription's ``automatic_tax``."""
    return {
        "disabled_reason": None,
        "enabled": enabled,
        "liability": {"type": "self"} if enabled else None,
    }


def item_of(context: Context, subscription: str, price: Json, *, quantity: int) -> Json:
    """A new item; its period is set by whoever adds it."""
    return {
        "id": ids.new("si"),
        "object": ITEM,
        "billing_thresholds": None,
        "created": context.now,
        "current_period_end": context.now,
        "current_period_start": context.now,
        "discounts": [],
        "metadata": {},
        "plan": plan_of(price),
        "price": price,
        "quantity": quantity,
        "subscription": subscription,
        "tax_rates": [],
    }


def plan_of(price: Json) -> Json:
    """The price as Stripe's old ``plan``."""
    kept = ("id", "active", "billing_scheme", "created", "currency", "livemode", "metadata")
    recurring = price["recurring"]
    return {
        **{name: price[name] for name in kept},
        "object": "plan",
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def set_items(subscription: Json, items: list[Json]) -> None:
    """Give the subscription these items, and the plan and quantity that Stripe shows beside one."""
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    subscription["items"] = {
        "object": "list",
        "data": items,
        "has_more": False,
        "total_count": len(items),
        "url": url,
    }
    single = items[0] if len(items) == 1 else None
    subscription["plan"] = single and single["plan"]
    subscription["quantity"] = single and single["quantity"]


def items_of(subscription: Json) -> list[Json]:
    """The subscription's items."""
    found: list[Json] = subscription["items"]["data"]
    return found


def period_of(subscription: Json) -> tuple[int, int]:
    """Start and end of the current period; all items share one interval."""
    first = items_of(subscription)[0]
    return first["current_period_start"], first["current_period_end"]


def set_period(subscription: Json, period: tuple[int, int]) -> None:
    """Give every item this period."""
    for item in items_of(subscription):
        item["current_period_start"], item["current_period_end"] = period


def recurring_of(subscription: Json) -> Json:
    """The interval that all items share."""
    recurring: Json = items_of(subscription)[0]["price"]["recurring"]
    return recurring


def private_of(context: Context, subscription: Json) -> Json:
    """What is known of it and not shown: what was billed per item, pending lines, due moments."""
    return {"billed": {}, "pending": [], **context.tx.private(KIND, subscription["id"])}


def insert(context: Context, subscription: Json) -> None:
    """Store a new subscription and its items."""
    context.tx.insert(subscription)
    save(context, subscription)


def save(context: Context, subscription: Json, private: Json | None = None) -> None:
    """Store a changed subscription, its items, and when something falls due with it."""
    known = private_of(context, subscription) if private is None else private
    known["due_at"] = _due_at(subscription, known)
    context.tx.save(subscription)
    context.tx.save_private(KIND, subscription["id"], known)
    for item in items_of(subscription):
        if context.tx.get(ITEM, item["id"]) is None:
            context.tx.insert(item)
        else:
            context.tx.save(item)


def _due_at(subscription: Json, private: Json) -> int | None:
    status = subscription["status"]
    if status in ENDED or status == "paused":
        return None
    if status == "incomplete":
        return int(subscription["created"]) + FIRST_PAYMENT_SECONDS
    moments = [period_of(subscription)[1], subscription["cancel_at"], private.get("phase_at")]
    if status == "trialing" and not private.get("trial_warned"):
        moments.append(subscription["trial_end"] - TRIAL_WARNING_SECONDS)
    return min(int(moment) for moment in moments if moment is not None)


def tell(context: Context, subscription: Json, before: Json) -> None:
    """Save and emit ``customer.subscription.updated`` with what changed since ``before``."""
    if subscription != before:
        save(context, subscription)
        tell_of(context, subscription, before)


def tell_of(context: Context, subscription: Json, before: Json) -> None:
    """Emit ``customer.subscription.updated`` of a subscription that is saved already."""
    previous = events.changes(before, subscription)
    events.emit(context, "customer.subscription.updated", subscription, previous)


def change(context: Context, subscription: Json, **fields: object) -> None:
    """Set fields and tell."""
    before = copied(subscription)
    subscription.update(fields)
    tell(context, subscription, before)


def refreshed(context: Context, subscription: Json) -> Json:
    """The subscription with its prices as they are today."""
    for item in items_of(subscription):
        item["price"] = context.tx.get("price", item["price"]["id"]) or item["price"]
        item["plan"] = plan_of(item["price"])
    set_items(subscription, items_of(subscription))
    return subscription


def running_discounts(context: Context, subscription: Json, at: int) -> list[str]:
    """The subscription's discounts that apply to an invoice of the moment ``at``."""
    return [
        id
        for id in subscription["discounts"]
        if discounts.in_force(context.need(discounts.KIND, id), at)
    ]
