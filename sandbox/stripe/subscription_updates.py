"""Changing a running subscription: items, trial, cycle, end, and what must be invoiced for it."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.store import Json
from sandbox.stripe import (
    collection,
    discounts,
    events,
    invoicing,
    proration,
    schedule_phases,
    subscription_docs,
    subscription_params,
    subscription_schedules,
    subscriptions,
)
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, bad_param, not_modelled
from sandbox.stripe.params import merged
from sandbox.stripe.periods import boundary
from sandbox.stripe.routes import Route

KIND = subscription_docs.KIND


@dataclass(frozen=True, slots=True)
class Bill:
    """What a change asks for: ``lines``, on an invoice made ``at_once`` or with the next period."""

    lines: list[Json]
    at_once: bool


def update(context: Context, params: Json, id: str) -> Json:
    """Change a subscription; an invoice that falls due with it is charged before the answer.

    With ``error_if_incomplete`` a card that declines raises a 402, and nothing has changed.
    """
    subscription = subscriptions.need_live(context, id)
    before = copied(subscription)
    bill = change(context, subscription, params)
    invoice = None
    if bill is not None and bill.at_once:
        invoice = invoicing.draft(context, subscription, bill.lines, reason="subscription_update")
        invoicing.issue(context, subscription, invoice)
    elif bill is not None:
        invoicing.keep_pending(context, subscription, bill.lines)
    subscription_docs.tell(context, subscription, before)
    subscription_schedules.follow(context, subscription, before)
    invoicing.warn_of_trial_end(context, subscription)
    unpaid = invoice is not None and not collection.collect(context, invoice)
    if invoice is not None and unpaid and params.get("payment_behavior") == "error_if_incomplete":
        raise subscriptions.declined(context, invoice)
    return subscription_docs.refreshed(context, context.need(KIND, id))


def change(context: Context, subscription: Json, params: Json) -> Bill | None:
    """Apply the change to the document (the caller saves it); what is to be billed for it."""
    _check(context, subscription, params)
    subscription["metadata"] = merged(subscription["metadata"], params.get("metadata"))
    subscription_params.apply_settings(context, subscription, params)
    if "discounts" in params:
        for old_id in subscription["discounts"]:
            discounts.finish(context, old_id)
        sent = params["discounts"]
        subscription["discounts"] = subscription_params.start_discounts(context, subscription, sent)
    old = copied(subscription)["items"]["data"]
    trial_ended = _move_trial(context, subscription, params)
    if "items" in params:
        _change_items(context, subscription, params["items"])
    subscriptions.schedule_end(context, subscription, params)
    bill = _bill(context, subscription, old, params, trial_ended=trial_ended)
    if subscription["cancel_at_period_end"]:  # it ends with the period, wherever that is now
        subscription["cancel_at"] = subscription_docs.period_of(subscription)[1]
    return bill


def _check(context: Context, subscription: Json, params: Json) -> None:
    if subscription["status"] == "incomplete" and ("items" in params or "trial_end" in params):
        message = (
            "This subscription cannot be updated while its first invoice is unpaid "
            "(status incomplete); only its metadata and payment method can."
        )
        raise StripeError(message)
    schedule = subscription["schedule"]
    if schedule and ("cancel_at_period_end" in params or "cancel_at" in params):
        raise StripeError(
            f"The subscription is managed by the subscription schedule `{schedule}`, and updating "
            "any cancelation behavior directly is not allowed. Please update the schedule instead."
        )
    start, end = subscription_docs.period_of(subscription)
    at = params.get("proration_date")
    if at is not None and not start <= at <= end:
        message = "Cannot specify a proration date outside of the current billing period."
        raise StripeError(message, param="proration_date")


def _move_trial(context: Context, subscription: Json, params: Json) -> bool:
    """End the trial or move its end; whether it is over now."""
    end = params.get("trial_end")
    if end is None or (end == "now" and subscription["status"] != "trialing"):
        return False
    if end == "now":
        subscription |= {"status": "active", "trial_end": context.now}
        return True
    if subscription["status"] != "trialing":
        raise not_modelled("trial_end of a subscription that is not in a trial")
    subscriptions.need_trial_end(context, end)
    start = subscription_docs.period_of(subscription)[0]
    subscription |= {"trial_end": end, "billing_cycle_anchor": end}
    subscription_docs.set_period(subscription, (start, end))
    private = {**subscription_docs.private_of(context, subscription), "trial_warned": False}
    subscription_docs.save(context, subscription, private)
    return False


def _change_items(context: Context, subscription: Json, sent: list[Json]) -> None:
    items = {item["id"]: item for item in subscription_docs.items_of(subscription)}
    for place, one in enumerate(sent):
        path = f"items[{place}]"
        if "id" not in one:
            item = _added(context, subscription, one, path)
            items[item["id"]] = item
            continue
        if one["id"] not in items:
            message = f"No such subscription item: '{one['id']}'"
            raise StripeError(message, code="resource_missing", param=f"{path}[id]")
        if one.get("deleted"):
            del items[one["id"]]
        else:
            _change_item(context, items[one["id"]], one, path)
    kept = list(items.values())
    subscription_params.need_one_cycle(kept)
    if kept[0]["price"]["currency"] != subscription["currency"]:
        raise bad_param("The currency of a subscription cannot be changed.", "items")
    subscription_docs.set_items(subscription, kept)


def _added(context: Context, subscription: Json, sent: Json, path: str) -> Json:
    price = subscription_params.need_price(context, sent, path)
    item = subscription_docs.item_of(
        context, subscription["id"], price, quantity=sent.get("quantity", 1)
    )
    start, end = subscription_docs.period_of(subscription)
    item |= {"current_period_start": start, "current_period_end": end}
    item["metadata"] = merged({}, sent.get("metadata"))
    return item


def _change_item(context: Context, item: Json, sent: Json, path: str) -> None:
    if "price" in sent or "plan" in sent:
        item["price"] = subscription_params.need_price(context, sent, path)
        item["plan"] = subscription_docs.plan_of(item["price"])
    item["quantity"] = sent.get("quantity", item["quantity"])
    item["metadata"] = merged(item["metadata"], sent.get("metadata"))


def _bill(
    context: Context, subscription: Json, old: list[Json], params: Json, *, trial_ended: bool
) -> Bill | None:
    """The lines of the change. Another interval begins a new cycle, which is billed at once."""
    behavior = params.get("proration_behavior", "create_prorations")
    at = params.get("proration_date", context.now)
    if subscription["status"] == "trialing":
        return None
    pending = subscription_docs.private_of(context, subscription)["pending"]
    begins = params.get("billing_cycle_anchor") == "now" or trial_ended
    if begins or not schedule_phases.same_cycle(subscription, old):
        lines: list[Json] = []
        if behavior != "none":
            lines = proration.credits_of(context, subscription, old, at=at)
        period = begin_cycle(context, subscription)
        lines += pending + invoicing.period_lines(context, subscription, period)
        return Bill(lines, at_once=True)
    if behavior == "none":
        return None
    lines = proration.of_change(context, subscription, old, at=at)
    if behavior == "always_invoice" and lines:
        return Bill(lines + pending, at_once=True)
    return Bill(lines, at_once=False) if lines else None


def begin_cycle(context: Context, subscription: Json) -> tuple[int, int]:
    """Anchor the billing cycle to this moment; the period that begins with it."""
    recurring = subscription_docs.recurring_of(subscription)
    subscription["billing_cycle_anchor"] = context.now
    period = (context.now, boundary(context.now, recurring, 1))
    subscription_docs.set_period(subscription, period)
    private = {**subscription_docs.private_of(context, subscription), "billed": {}}
    subscription_docs.save(context, subscription, private)
    return period


def resume(context: Context, params: Json, id: str) -> Json:
    """Let a paused subscription go on: a new cycle begins and is charged."""
    subscription = subscriptions.need_live(context, id)
    if subscription["status"] != "paused":
        message = "Only subscriptions with the status `paused` can be resumed."
        raise StripeError(message)
    before = copied(subscription)
    subscription["status"] = "active"
    period = begin_cycle(context, subscription)
    lines = invoicing.period_lines(context, subscription, period)
    invoice = invoicing.draft(context, subscription, lines, reason="subscription_update")
    invoicing.issue(context, subscription, invoice)
    subscription_docs.tell(context, subscription, before)
    events.emit(context, "customer.subscription.resumed", subscription)
    collection.collect(context, invoice)
    return context.need(KIND, id)


BASE = "/v1/subscriptions/:id"

ROUTES = [
    Route("POST", BASE, update, subscription_params.UPDATE),
    Route("POST", f"{BASE}/resume", resume, subscription_params.RESUME),
]
