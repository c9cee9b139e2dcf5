"""Billing subscriptions: their first invoice, each new period, changes within one."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import (
    collection,
    discounts,
    events,
    invoice_lines,
    invoices,
    subscription_docs,
)
from sandbox.stripe.context import Context


def period_lines(
    context: Context, subscription: Json, period: tuple[int, int], *, trial: bool = False
) -> list[Json]:
    """A line per item for a whole period."""
    return [
        invoice_lines.full_period(context, subscription, item, period, trial=trial)
        for item in subscription_docs.items_of(subscription)
    ]


def draft(
    context: Context,
    subscription: Json,
    lines: list[Json],
    *,
    reason: str,
    period: tuple[int, int] | None = None,
    at: int | None = None,
    tax_minor: int | None = None,
) -> Json:
    """An invoice over the lines as it would be made now, not stored yet."""
    moment = context.now if at is None else at
    return invoices.build(
        context,
        subscription,
        lines,
        reason=reason,
        period=period or (context.now, context.now),
        discount_ids=subscription_docs.running_discounts(context, subscription, moment),
        tax_minor=tax_minor,
    )


def issue(
    context: Context,
    subscription: Json,
    invoice: Json,
    *,
    later: bool = False,
    by_balance: bool = True,
) -> Json:
    """Store the invoice as the subscription's newest; finalise it now or, ``later``, by the clock.

    Discounts that have ended, or work once and just did, are taken off the subscription. The
    caller tells of the subscription.
    """
    delay_seconds = int(context.setting("invoice_finalize_seconds")) if later else None
    private = subscription_docs.private_of(context, subscription)
    pending = {one["id"] for one in private["pending"]}
    fresh = [one for one in invoice["lines"]["data"] if one["id"] not in pending]
    _note_billed(private, fresh, invoice=invoice["id"])
    subscription_docs.save(context, subscription, {**private, "pending": []})
    collection.create(context, invoice, finalize_after_seconds=delay_seconds)
    subscription["latest_invoice"] = invoice["id"]
    _drop_spent(context, subscription, invoice)
    subscription_docs.save(context, subscription)
    if not later:
        collection.finalize(context, invoice, by_balance=by_balance)
    return invoice


def _drop_spent(context: Context, subscription: Json, invoice: Json) -> None:
    used = {taken["discount"] for taken in invoice["total_discount_amounts"]}
    kept = []
    for id in subscription["discounts"]:
        discount = context.need(discounts.KIND, id)
        spent = discounts.terms(context, id).duration == "once" and id in used
        if spent or not discounts.in_force(discount, context.now):
            discounts.finish(context, id)
        else:
            kept.append(id)
    subscription["discounts"] = kept


def warn_of_trial_end(context: Context, subscription: Json) -> None:
    """Tell once that a trial ends within three days."""
    private = subscription_docs.private_of(context, subscription)
    end = subscription["trial_end"]
    if subscription["status"] != "trialing" or private.get("trial_warned"):
        return
    if end - subscription_docs.TRIAL_WARNING_SECONDS <= context.now:
        subscription_docs.save(context, subscription, {**private, "trial_warned": True})
        events.emit(context, "customer.subscription.trial_will_end", subscription)


def keep_pending(context: Context, subscription: Json, lines: list[Json]) -> None:
    """Keep the lines for the next period's invoice."""
    taxed = subscription["automatic_tax"]["enabled"]
    invoice_lines.reprice(context, lines, [], taxed=taxed)
    private = subscription_docs.private_of(context, subscription)
    _note_billed(private, lines, invoice=None)
    private["pending"] = private["pending"] + lines
    subscription_docs.save(context, subscription, private)


def _note_billed(private: Json, lines: list[Json], *, invoice: str | None) -> None:
    """Remember per item what its period cost: a later change gives the rest of it back."""
    for one in lines:
        amount = invoice_lines.net(one)
        item = one["parent"]["subscription_item_details"]["subscription_item"]
        if amount < 0:
            private["billed"].pop(item, None)
            continue
        private["billed"][item] = {
            "net": amount,
            "tax": invoice_lines.tax_of(one),
            "start": one["period"]["start"],
            "end": one["period"]["end"],
            "price": one["pricing"]["price_details"]["price"],
            "quantity": one["quantity"],
            "invoice": invoice,
            "line": one["id"],
        }
