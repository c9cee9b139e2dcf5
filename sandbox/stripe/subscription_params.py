"""What requests about subscriptions may carry, and how it is read."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json
from sandbox.stripe import coupons, discounts, ids, subscription_docs
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, bad_param, not_modelled
from sandbox.stripe.params import (
    EXPAND,
    PAGING,
    Fields,
    Raw,
    Reader,
    array,
    boolean,
    clearable,
    currency,
    group,
    integer,
    metadata,
    not_here,
    text,
    time_range,
)

PRORATIONS = ("always_invoice", "create_prorations", "none")
MISSING_METHOD = ("cancel", "create_invoice", "pause")
FEEDBACK = (
    *("customer_service", "low_quality", "missing_features", "other", "switched_service"),
    *("too_complex", "too_expensive", "unused"),
)


def now_or(inner: Reader) -> Reader:
    """The word ``now``, or what ``inner`` takes."""

    def reader(raw: Raw, path: str) -> Any:
        return "now" if raw == "now" else inner(raw, path)

    return reader


def word_or_moment(raw: Raw, path: str) -> Any:
    """``cancel_at``: a moment, or Stripe's words for the end of the period."""
    if raw in ("min_period_end", "max_period_end"):
        return raw
    return integer(1)(raw, path)


DISCOUNTS = array(group({**not_here("discount"), "coupon": text(), "promotion_code": text()}))
TRIAL_SETTINGS = group(
    {"end_behavior": group({"missing_payment_method": text(one_of=MISSING_METHOD)})}
)
CANCELLATION = group(
    {
        **not_here("feedback_option"),
        "comment": clearable(text()),
        "feedback": clearable(text(one_of=FEEDBACK)),
    }
)
PAYMENT_SETTINGS = group(
    {
        **not_here("payment_method_options"),
        "payment_method_types": clearable(array(text(one_of=("card",)))),
        "save_default_payment_method": text(one_of=("off", "on_subscription")),
    }
)
ITEM: Fields = {
    **not_here("billing_thresholds discounts price_data tax_rates"),
    "metadata": metadata,
    "plan": text(),
    "price": text(),
    "quantity": integer(0, 999_999),
}
UPDATED_ITEM: Fields = {
    **ITEM,
    **not_here("clear_usage"),
    "deleted": boolean,
    "id": text(),
}
COMMON: Fields = {
    **EXPAND,
    **not_here(
        "add_invoice_items application_fee_percent billing_schedules billing_thresholds "
        "days_until_due default_source default_tax_rates invoice_settings on_behalf_of "
        "pending_invoice_item_interval transfer_data trial_from_plan"
    ),
    "automatic_tax": group({"enabled": boolean, **not_here("liability")}, required=("enabled",)),
    "cancel_at": clearable(word_or_moment),
    "cancel_at_period_end": boolean,
    "collection_method": text(one_of=("charge_automatically",)),
    "default_payment_method": clearable(text()),
    "description": clearable(text(500)),
    "discounts": DISCOUNTS,
    "metadata": metadata,
    "off_session": boolean,
    "payment_settings": PAYMENT_SETTINGS,
    "trial_end": now_or(integer(1)),
    "trial_settings": TRIAL_SETTINGS,
}
CREATE: Fields = {
    **COMMON,
    **not_here("backdate_start_date billing_cycle_anchor billing_cycle_anchor_config"),
    **not_here("customer_account"),
    "billing_mode": group(
        {
            "type": text(one_of=("flexible",)),
            "flexible": group({"proration_discounts": text(one_of=("included",))}),
        }
    ),
    "currency": currency,
    "customer": text(),
    "items": array(group(ITEM), maximum=20),
    "payment_behavior": text(
        one_of=("allow_incomplete", "default_incomplete", "error_if_incomplete")
    ),
    "proration_behavior": text(one_of=PRORATIONS),
    "trial_period_days": integer(1, 730),
}
UPDATE: Fields = {
    **COMMON,
    "billing_cycle_anchor": text(one_of=("now", "unchanged")),
    "cancellation_details": CANCELLATION,
    "items": array(group(UPDATED_ITEM), maximum=20),
    "pause_collection": clearable(
        group(
            {
                "behavior": text(one_of=("keep_as_draft", "mark_uncollectible", "void")),
                "resumes_at": integer(1),
            },
            required=("behavior",),
        )
    ),
    "payment_behavior": text(one_of=("allow_incomplete", "error_if_incomplete")),
    "proration_behavior": text(one_of=PRORATIONS),
    "proration_date": integer(1),
}
CANCEL: Fields = {
    **EXPAND,
    **not_here("invoice_now prorate"),
    "cancellation_details": CANCELLATION,
}
RESUME: Fields = {
    **EXPAND,
    **not_here("proration_date"),
    "billing_cycle_anchor": text(one_of=("now",)),
    "proration_behavior": text(one_of=PRORATIONS),
}
LIST: Fields = {
    **PAGING,
    **not_here("automatic_tax customer_account test_clock"),
    "collection_method": text(one_of=("charge_automatically", "send_invoice")),
    "current_period_end": time_range,
    "current_period_start": time_range,
    "customer": text(),
    "plan": text(),
    "price": text(),
    "status": text(
        one_of=(
            *("active", "all", "canceled", "ended", "incomplete", "incomplete_expired"),
            *("past_due", "paused", "trialing", "unpaid"),
        )
    ),
}


def need_price(context: Context, sent: Json, path: str) -> Json:
    """The recurring price that an item names. Raises StripeError if it cannot be subscribed to."""
    name = "price" if "price" in sent else "plan"
    if name not in sent:
        raise bad_param(f"Missing required param: {path}[price].", path, "parameter_missing")
    price = context.need("price", sent[name], param=f"{path}[{name}]")
    if price["recurring"] is None:
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`."
        )
        raise StripeError(message, param=f"{path}[{name}]")
    if price["tax_behavior"] == "inclusive":
        raise not_modelled("tax_behavior=inclusive")
    if not price["active"]:
        raise StripeError(f"The price {price['id']} is inactive.", param=f"{path}[{name}]")
    return price


def need_one_cycle(items: list[Json]) -> None:
    """Raises StripeError unless all items have one currency and interval."""
    if not items:
        raise bad_param("A subscription must have at least one item.", "items")
    cycles = {
        (item["price"]["currency"], *sorted(item["price"]["recurring"].items(), key=str))
        for item in items
    }
    if len(cycles) > 1:
        message = "All items of a subscription must have the same currency and interval."
        raise bad_param(message, "items")
    if len({item["price"]["id"] for item in items}) < len(items):
        raise bad_param("Cannot add multiple subscription items with the same price.", "items")


def need_method(context: Context, customer: str, id: str) -> str:
    """The payment method's id if it is saved to the customer. Raises StripeError otherwise."""
    method = context.need("payment_method", id, param="default_payment_method")
    if method["customer"] != customer:
        message = (
            f"The customer does not have a payment method with the ID {id}. The payment method "
            "must be attached to the customer."
        )
        raise StripeError(message, code="resource_missing", param="default_payment_method")
    return id


def start_discounts(context: Context, subscription: Json, sent: list[Json]) -> list[str]:
    """Put the coupons or codes sent in force on the subscription; the ids of the discounts."""
    started = []
    for place, one in enumerate(sent):
        path = f"discounts[{place}]"
        code = None
        if "promotion_code" in one:
            code = context.need("promotion_code", one["promotion_code"], param=path)
        elif "coupon" not in one:
            raise bad_param(f"Missing required param: {path}[coupon].", path, "parameter_missing")
        coupon_id = code["promotion"]["coupon"] if code else one["coupon"]
        coupon = context.need("coupon", coupon_id, param=path)
        _need_usable(context, coupon, code, path, currency=subscription["currency"])
        discount = discounts.start(
            context,
            coupon=coupon["id"],
            customer=subscription["customer"],
            subscription=subscription["id"],
            promotion_code=code["id"] if code else None,
            id=ids.new("di"),
        )
        coupons.redeem(
            context, {"coupon": coupon["id"], "promotion_code": discount["promotion_code"]}
        )
        started.append(discount["id"])
    return started


def _need_usable(
    context: Context, coupon: Json, code: Json | None, path: str, *, currency: str
) -> None:
    over = coupon["redeem_by"] is not None and coupon["redeem_by"] <= context.now
    if not coupon["valid"] or over or (code is not None and not code["active"]):
        raise StripeError(f"Coupon expired: {coupon['id']}", param=path)
    if coupon["currency"] not in (None, currency):
        raise StripeError("This coupon is for another currency.", param=path)


def apply_settings(context: Context, subscription: Json, params: Json) -> None:
    """Take over what changes nothing about the items or the time."""
    for name in ("description", "pause_collection"):
        if name in params:
            subscription[name] = params[name]
    if subscription["pause_collection"] is not None:
        subscription["pause_collection"].setdefault("resumes_at", None)
    if "default_payment_method" in params:
        id = params["default_payment_method"]
        customer = subscription["customer"]
        subscription["default_payment_method"] = id and need_method(context, customer, id)
    if "automatic_tax" in params:
        enabled = params["automatic_tax"]["enabled"]
        subscription["automatic_tax"] = subscription_docs.tax_shown(enabled=enabled)
    for name in ("cancellation_details", "payment_settings"):
        subscription[name].update(params.get(name, {}))
    behavior = params.get("trial_settings", {}).get("end_behavior")
    if behavior:
        subscription["trial_settings"]["end_behavior"].update(behavior)
