"""Subscriptions: made by the API or by Checkout, shown, listed, ended."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json
from sandbox.stripe import (
    collection,
    discounts,
    events,
    invoicing,
    lists,
    payment_intents,
    subscription_docs,
    subscription_params,
)
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, card_error, missing
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import merged
from sandbox.stripe.periods import DAY_SECONDS, boundary
from sandbox.stripe.routes import Route

KIND = subscription_docs.KIND
MAX_TRIAL_DAYS = 730
NO_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider "
    "adding a default payment method. For more information, visit "
    "https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority."
)


def create(context: Context, params: Json) -> Json:
    """A new subscription with its first invoice, which is paid, or not, as ``payment_behavior``."""
    customer = context.need("customer", params["customer"], param="customer")
    lines = [
        (subscription_params.need_price(context, sent, f"items[{place}]"), sent)
        for place, sent in enumerate(params["items"])
    ]
    currency = lines[0][0]["currency"] if lines else "usd"
    subscription = subscription_docs.build(context, customer=customer["id"], currency=currency)
    items = [
        subscription_docs.item_of(
            context, subscription["id"], price, quantity=sent.get("quantity", 1)
        )
        | {"metadata": merged({}, sent.get("metadata"))}
        for price, sent in lines
    ]
    subscription_params.need_one_cycle(items)
    subscription_docs.set_items(subscription, items)
    subscription["metadata"] = merged({}, params.get("metadata"))
    subscription_params.apply_settings(context, subscription, params)
    subscription["discounts"] = subscription_params.start_discounts(
        context, subscription, params.get("discounts", [])
    )
    invoice = _begin(context, subscription, trial_end=_trial_end(context, params))
    _set_end(context, subscription, params)
    _pay_first(context, invoice, behavior=params.get("payment_behavior", "allow_incomplete"))
    return context.need(KIND, subscription["id"])


def _trial_end(context: Context, params: Json) -> int | None:
    if "trial_period_days" in params:
        return int(context.now + params["trial_period_days"] * DAY_SECONDS)
    end = params.get("trial_end")
    if end in (None, "now"):
        return None
    need_trial_end(context, end)
    return int(end)


def need_trial_end(context: Context, end: int) -> None:
    """Raises StripeError unless a trial can end then."""
    if end <= context.now:
        message = "Invalid timestamp: must be an integer Unix timestamp in the future."
        raise StripeError(message, param="trial_end")
    if end > context.now + MAX_TRIAL_DAYS * DAY_SECONDS:
        message = f"Invalid trial end: a trial can last up to {MAX_TRIAL_DAYS} days."
        raise StripeError(message, param="trial_end")


def _set_end(context: Context, subscription: Json, params: Json) -> None:
    """A subscription that is to end from the beginning."""
    if params.get("cancel_at_period_end") or params.get("cancel_at"):
        stored = context.need(KIND, subscription["id"])
        schedule_end(context, stored, params)
        subscription_docs.save(context, stored)


def _begin(
    context: Context,
    subscription: Json,
    *,
    trial_end: int | None,
    tax_minor: int | None = None,
    by_balance: bool = True,
) -> Json:
    """Store the subscription with its period and its first invoice, finalised but not paid."""
    trial = trial_end is not None
    period = (context.now, _first_end(context, subscription, trial_end))
    subscription_docs.set_period(subscription, period)
    if trial_end is not None:
        subscription |= {"trial_start": context.now, "trial_end": trial_end}
        subscription["billing_cycle_anchor"] = trial_end
    lines = invoicing.period_lines(context, subscription, period, trial=trial)
    invoice = invoicing.draft(
        context, subscription, lines, reason="subscription_create", tax_minor=tax_minor
    )
    waiting = "incomplete" if invoice["total"] > 0 else "active"
    subscription["status"] = "trialing" if trial else waiting
    subscription["latest_invoice"] = invoice["id"]
    subscription_docs.insert(context, subscription)
    events.emit(context, "customer.subscription.created", subscription)
    invoicing.warn_of_trial_end(context, subscription)
    return invoicing.issue(context, subscription, invoice, by_balance=by_balance)


def _first_end(context: Context, subscription: Json, trial_end: int | None) -> int:
    recurring = subscription_docs.recurring_of(subscription)
    return boundary(context.now, recurring, 1) if trial_end is None else trial_end


def _pay_first(context: Context, invoice: Json, *, behavior: str) -> None:
    if behavior == "preview":  # nothing is to be paid, only looked at
        return
    if behavior == "default_incomplete" and invoice["amount_due"]:
        collection.intent_of(context, invoice)
        return
    if invoice["amount_due"] and collection.method_for(context, invoice) is None:
        raise StripeError(NO_METHOD, code="resource_missing")
    paid = collection.collect(context, invoice)
    if not paid and behavior == "error_if_incomplete":
        raise declined(context, invoice)


def declined(context: Context, invoice: Json) -> StripeError:
    """The 402 of an invoice that could not be paid; raising it undoes the whole request."""
    error = collection.intent_of(context, invoice)["last_payment_error"]
    if error is None:
        return StripeError(NO_METHOD, status=402, type="card_error", code="resource_missing")
    decline = (error["code"], error.get("decline_code", error["code"]), error["message"])
    return card_error(decline, payment_method=error["payment_method"])


def create_from_checkout(
    context: Context,
    *,
    session: Json,
    items: list[Json],
    trial_days: int | None,
    discount: Json | None,
    metadata: Json,
    payment_method: str | None,
    intent: Json | None,
) -> Json:
    """The subscription that a completed Checkout Session begins, its first invoice paid.

    ``items`` are dictionaries of ``price`` (id) and ``quantity``, ``discount`` is the session's
    (its coupon's use is counted by Checkout) and ``intent`` has succeeded over the session's total,
    which is the invoice's; None when nothing was to be paid.
    """
    subscription = _from_items(context, session["customer"], items)
    known = context.tx.private("checkout.session", session["id"])
    subscription["description"] = known["subscription_data"].get("description")
    subscription |= {"default_payment_method": payment_method, "metadata": metadata}
    enabled = session["automatic_tax"]["enabled"]
    subscription["automatic_tax"] = subscription_docs.tax_shown(enabled=enabled)
    if discount is not None:
        subscription["discounts"] = [_discount_of(context, session, subscription, discount)]
    trial_end = context.now + trial_days * DAY_SECONDS if trial_days else None
    tax_minor = None if trial_end else known.get("tax_minor")
    # Not by balance: the page did not show it, and has been paid already.
    invoice = _begin(
        context, subscription, trial_end=trial_end, tax_minor=tax_minor, by_balance=False
    )
    _take_as_paid(context, invoice, intent)
    return context.need(KIND, subscription["id"])


def _from_items(context: Context, customer: str, items: list[Json]) -> Json:
    """A subscription over ``items`` of ``price, quantity``, not stored yet."""
    prices = [context.need("price", item["price"]) for item in items]
    currency = prices[0]["currency"]
    subscription = subscription_docs.build(context, customer=customer, currency=currency)
    made = [
        subscription_docs.item_of(context, subscription["id"], price, quantity=item["quantity"])
        for price, item in zip(prices, items, strict=True)
    ]
    subscription_docs.set_items(subscription, made)
    return subscription


def _discount_of(context: Context, session: Json, subscription: Json, discount: Json) -> str:
    """The session's discount, in force on the subscription from now on."""
    started = discounts.start(
        context,
        coupon=discount["coupon"],
        customer=session["customer"],
        subscription=subscription["id"],
        promotion_code=discount["promotion_code"],
        checkout_session=session["id"],
        id=discount["id"],
    )
    return str(started["id"])


def _take_as_paid(context: Context, invoice: Json, intent: Json | None) -> None:
    """The page collected what the invoice asks for, or nothing was to be paid."""
    if intent is not None:
        collection.add_payment(context, invoice, intent)
        payment_intents.describe(context, intent, "Subscription creation")
    collection.settle(context, invoice, intent)


def schedule_end(context: Context, subscription: Json, params: Json) -> None:
    """Plan the end (``cancel_at_period_end``, ``cancel_at``) or call it off; the caller saves."""
    if "cancel_at_period_end" not in params and "cancel_at" not in params:
        return
    period_end = subscription_docs.period_of(subscription)[1]
    at = params.get("cancel_at")
    at_period_end = params.get("cancel_at_period_end", False)
    if at_period_end or at in ("min_period_end", "max_period_end"):
        at = period_end
    if at is not None and at <= context.now:
        raise StripeError("`cancel_at` must be a timestamp in the future.", param="cancel_at")
    requested = {"canceled_at": context.now, "reason": "cancellation_requested"}
    if at is None:
        requested = {"canceled_at": None, "reason": None}
    elif subscription["cancel_at"] is not None:
        requested["canceled_at"] = subscription["canceled_at"]
    subscription |= {"cancel_at": at, "cancel_at_period_end": at_period_end}
    subscription["canceled_at"] = requested["canceled_at"]
    subscription["cancellation_details"]["reason"] = requested["reason"]


def need_live(context: Context, id: str) -> Json:
    """The subscription if it has not ended. Raises StripeError otherwise."""
    subscription = context.need(KIND, id)
    if subscription["status"] in subscription_docs.ENDED:
        if subscription["status"] == "canceled":
            raise missing(KIND, id)
        message = "This subscription has expired: its first invoice was never paid."
        raise StripeError(message)
    return subscription


def cancel(context: Context, params: Json, id: str) -> Json:
    """End the subscription now; nothing is given back."""
    subscription = need_live(context, id)
    subscription["cancellation_details"].update(params.get("cancellation_details", {}))
    subscription |= {"cancel_at": None, "cancel_at_period_end": False}
    collection.end(context, subscription, reason="cancellation_requested")
    return subscription


def cancel_all_of(context: Context, customer: str) -> None:
    """End every subscription of a customer, as when the customer is deleted."""
    mine = "json_extract(data, '$.customer') = ?"
    for subscription in context.tx.find(KIND, mine, (customer,)):
        if subscription["status"] not in subscription_docs.ENDED:
            cancel(context, {}, subscription["id"])


def retrieve(context: Context, params: Json, id: str) -> Json:
    """One subscription, its prices as they are today."""
    return subscription_docs.refreshed(context, context.need(KIND, id))


def listing(context: Context, params: Json) -> Json:
    """Subscriptions, newest first; without a ``status`` those that have ended are left out."""
    filters = lists.Filter()
    for name in ("customer", "collection_method"):
        filters.field(name, params.get(name))
    status = params.get("status")
    if status is None:
        filters.where("json_extract(data, '$.status') <> 'canceled'")
    elif status == "ended":
        filters.among("status", list(subscription_docs.ENDED))
    elif status != "all":
        filters.field("status", status)
    priced = (
        "EXISTS (SELECT 1 FROM json_each(data, '$.items.data') AS item "
        "WHERE json_extract(item.value, '$.price.id') = ?)"
    )
    for name in ("price", "plan"):
        if name in params:
            filters.where(priced, params[name])
    for name in ("current_period_start", "current_period_end"):
        for operator, moment in params.get(name, {}).items():
            path = f"json_extract(data, '$.items.data[0].{name}')"
            filters.where(f"{path} {lists.OPERATORS[operator]} ?", moment)
    page = lists.page(context, KIND, params, "/v1/subscriptions", filters=filters)
    page["data"] = [subscription_docs.refreshed(context, one) for one in page["data"]]
    return page


def of_customer(context: Context, customer: Json, value: Any) -> Json:
    """The customer's subscriptions that have not ended, as ``customer.subscriptions``."""
    page = listing(context, {"customer": customer["id"]})
    return {**page, "url": f"/v1/customers/{customer['id']}/subscriptions"}


EXPANDABLE[KIND] = {
    "customer": ref("customer"),
    "default_payment_method": ref("payment_method"),
    "discounts": lambda context, subscription, value: [
        context.tx.get("discount", id) if isinstance(id, str) else id for id in value
    ],
    "latest_invoice": ref("invoice"),
    "pending_setup_intent": ref("setup_intent"),
    "schedule": ref("subscription_schedule"),
}
EXPANDABLE[subscription_docs.ITEM] = {"discounts": EXPANDABLE[KIND]["discounts"]}
EXPANDABLE["plan"] = {"product": ref("product")}
EXPANDABLE.setdefault("customer", {})["subscriptions"] = of_customer

BASE = "/v1/subscriptions"

ROUTES = [
    Route("POST", BASE, create, subscription_params.CREATE, ("customer", "items")),
    Route("GET", BASE, listing, subscription_params.LIST),
    Route("GET", f"{BASE}/:id", retrieve),
    Route("DELETE", f"{BASE}/:id", cancel, subscription_params.CANCEL),
]
