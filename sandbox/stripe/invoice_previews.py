"""``POST /v1/invoices/create_preview``: what a change, or the next period, would be invoiced for.

A preview makes the change for real and takes it back, so that it cannot differ from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.store import Json
from sandbox.stripe import (
    ids,
    invoicing,
    periods,
    subscription_docs,
    subscription_params,
    subscription_schedules,
    subscription_updates,
    subscriptions,
)
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, bad_param
from sandbox.stripe.params import (
    EXPAND,
    Fields,
    array,
    boolean,
    clearable,
    currency,
    group,
    integer,
    metadata,
    not_here,
    text,
)
from sandbox.stripe.routes import Route

NOTHING_COMES = "invoice_upcoming_none"


def create_preview(context: Context, params: Json) -> Json:
    """The invoice that would be made: now if the change asks for one, else with the next period."""
    details = params.get("subscription_details", {})
    with _taken_back(context):
        if "subscription" in params:
            invoice = _of_subscription(context, params, details)
        elif "customer" in params and details.get("items"):
            invoice = _of_new(context, params, details)
        elif "customer" in params:
            invoice = _of_customer(context, params["customer"])
        else:
            message = "You must pass either customer or subscription."
            raise bad_param(message, "customer", "parameter_missing")
    return _as_preview(invoice)


@contextmanager
def _taken_back(context: Context) -> Iterator[None]:
    """Whatever is written meanwhile is forgotten: objects, events and their deliveries."""
    context.tx.run("SAVEPOINT preview")
    try:
        yield
    finally:
        context.tx.run("ROLLBACK TO preview")
        context.tx.run("RELEASE preview")


def _of_subscription(context: Context, params: Json, details: Json) -> Json:
    subscription = context.need("subscription", params["subscription"], param="subscription")
    if params.get("customer", subscription["customer"]) != subscription["customer"]:
        raise bad_param("The subscription belongs to another customer.", "customer")
    if subscription["status"] in subscription_docs.ENDED:
        raise _nothing(subscription["customer"])
    changes = {name: value for name, value in details.items() if name != "cancel_now"}
    for name in ("automatic_tax", "discounts"):
        if name in params:
            changes[name] = params[name]
    bill = subscription_updates.change(context, subscription, changes)
    if bill is not None and bill.at_once:
        return invoicing.draft(context, subscription, bill.lines, reason="subscription_update")
    if bill is not None:
        invoicing.keep_pending(context, subscription, bill.lines)
    return next_invoice(context, subscription)


def next_invoice(context: Context, subscription: Json) -> Json:
    """The invoice that the end of the current period will bring."""
    start, end = subscription_docs.period_of(subscription)
    lines = list(subscription_docs.private_of(context, subscription)["pending"])
    cancel_at = subscription["cancel_at"]
    if cancel_at is None or cancel_at > end:
        subscription_schedules.enter_phase(context, subscription, end)
        end = subscription_docs.period_of(subscription)[1]
        recurring = subscription_docs.recurring_of(subscription)
        period = periods.around(subscription["billing_cycle_anchor"], recurring, end)
        subscription_docs.set_period(subscription, period)
        lines = invoicing.period_lines(context, subscription, period) + lines
    if not lines:
        raise _nothing(subscription["customer"])
    invoice = invoicing.draft(
        context, subscription, lines, reason="upcoming", period=(start, end), at=end
    )
    delay_seconds = int(context.setting("invoice_finalize_seconds"))
    return invoice | {"created": end, "next_payment_attempt": end + delay_seconds}


def _of_customer(context: Context, id: str) -> Json:
    """The next invoice of whichever of the customer's subscriptions comes first."""
    customer = context.need("customer", id, param="customer")
    mine = "json_extract(data, '$.customer') = ?"
    found = [
        one
        for one in context.tx.find("subscription", mine, (customer["id"],))
        if one["status"] not in (*subscription_docs.ENDED, "paused", "incomplete")
        and not one["cancel_at_period_end"]
    ]
    if not found:
        raise _nothing(id)
    first = min(found, key=lambda one: subscription_docs.period_of(one)[1])
    return next_invoice(context, first)


def _of_new(context: Context, params: Json, details: Json) -> Json:
    """The first invoice of a subscription that is not made."""
    terms = {"customer": params["customer"], "items": details["items"]}
    for name in ("automatic_tax", "discounts"):
        if name in params:
            terms[name] = params[name]
    if details.get("trial_end"):
        terms["trial_end"] = details["trial_end"]
    subscription = subscriptions.create(context, {**terms, "payment_behavior": "preview"})
    return context.need("invoice", subscription["latest_invoice"])


def _nothing(customer: str) -> StripeError:
    message = f"No upcoming invoices for customer: {customer}"
    return StripeError(message, status=404, code=NOTHING_COMES)


def _as_preview(invoice: Json) -> Json:
    """An invoice that exists only in the answer."""
    id = ids.new("upcoming_in")
    invoice |= {
        "id": id,
        "auto_advance": False,
        "automatically_finalizes_at": None,
        "effective_at": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "ending_balance": None,
        "number": None,
        "status": "draft",
        "status_transitions": dict.fromkeys(invoice["status_transitions"]),
        "webhooks_delivered_at": None,
    }
    for one in invoice["lines"]["data"]:
        one["invoice"] = id
    invoice["lines"]["url"] = f"/v1/invoices/{id}/lines"
    return invoice


DETAILS: Fields = {
    **not_here("billing_mode billing_schedules cancel_now default_tax_rates resume_at start_date"),
    "billing_cycle_anchor": text(one_of=("now", "unchanged")),
    "cancel_at": clearable(integer(1)),
    "cancel_at_period_end": boolean,
    "items": array(group(subscription_params.UPDATED_ITEM), maximum=20),
    "metadata": metadata,
    "proration_behavior": text(one_of=subscription_params.PRORATIONS),
    "proration_date": integer(1),
    "trial_end": subscription_params.now_or(integer(1)),
}
CREATE: Fields = {
    **EXPAND,
    **not_here(
        "customer_account customer_details invoice_items issuer on_behalf_of schedule "
        "schedule_details"
    ),
    "automatic_tax": group({"enabled": boolean, **not_here("liability")}, required=("enabled",)),
    "currency": currency,
    "customer": text(),
    "discounts": subscription_params.DISCOUNTS,
    "preview_mode": text(one_of=("next",)),
    "subscription": text(),
    "subscription_details": group(DETAILS),
}

ROUTES = [Route("POST", "/v1/invoices/create_preview", create_preview, CREATE)]
