"""What time does to subscriptions: trials end, periods begin anew, planned ends come."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import (
    collection,
    events,
    invoice_acts,
    invoicing,
    periods,
    subscription_docs,
    subscription_schedules,
)
from sandbox.stripe.context import Context, copied

KIND = subscription_docs.KIND


def process(context: Context, subscription: Json) -> None:
    """Do one thing that is due with the subscription at this moment."""
    if subscription["status"] == "incomplete":
        collection.expire(context, subscription)
        return
    invoicing.warn_of_trial_end(context, subscription)
    if subscription["cancel_at"] is not None and subscription["cancel_at"] <= context.now:
        collection.end(context, subscription, reason="cancellation_requested")
        return
    before = copied(subscription)
    phase_at = subscription_docs.private_of(context, subscription).get("phase_at")
    phase_over = phase_at is not None and phase_at <= context.now
    if phase_over and not subscription_schedules.step(context, subscription):
        return
    if subscription_docs.period_of(subscription)[1] <= context.now:
        _period_ends(context, subscription, before)
    else:
        subscription_docs.tell(context, subscription, before)


def process_invoice(context: Context, invoice: Json) -> None:
    """Finalise and charge a draft whose hour is over, or try an open invoice again."""
    if invoice["status"] == "draft":
        invoice_acts.advance(context, invoice)
    else:
        collection.collect(context, invoice)


def _period_ends(context: Context, subscription: Json, before: Json) -> None:
    if subscription["status"] == "trialing" and _method_of(context, subscription) is None:
        wanted = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
        if wanted == "cancel":
            collection.end(context, subscription, reason="cancellation_requested")
            return
        if wanted == "pause":
            subscription["status"] = "paused"
            subscription_docs.tell(context, subscription, before)
            events.emit(context, "customer.subscription.paused", subscription)
            return
    renew(context, subscription, before)


def _method_of(context: Context, subscription: Json) -> str | None:
    customer = context.tx.get("customer", subscription["customer"])
    usual = customer and customer["invoice_settings"]["default_payment_method"]
    found = subscription["default_payment_method"] or usual
    return str(found) if found else None


def renew(context: Context, subscription: Json, before: Json) -> Json:
    """Begin the next period: its invoice is a draft that is finalised and charged an hour later."""
    ended = subscription_docs.period_of(subscription)
    recurring = subscription_docs.recurring_of(subscription)
    period = periods.around(subscription["billing_cycle_anchor"], recurring, ended[1])
    subscription_docs.set_period(subscription, period)
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    lines = invoicing.period_lines(context, subscription, period)
    lines += subscription_docs.private_of(context, subscription)["pending"]
    invoice = invoicing.draft(
        context, subscription, lines, reason="subscription_cycle", period=ended
    )
    if subscription["status"] == "unpaid":  # Stripe leaves these to the merchant
        invoice["auto_advance"] = False
    invoicing.issue(context, subscription, invoice, later=True)
    subscription_docs.tell(context, subscription, before)
    return invoice
