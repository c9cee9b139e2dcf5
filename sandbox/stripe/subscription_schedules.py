"""Subscription schedules: which prices a running subscription has in which stretch of time."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import (
    collection,
    events,
    ids,
    invoicing,
    lists,
    proration,
    schedule_phases,
    subscription_docs,
)
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, bad_param
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import (
    EXPAND,
    PAGING,
    boolean,
    merged,
    metadata,
    not_here,
    text,
    time_range,
)
from sandbox.stripe.routes import Route

KIND = "subscription_schedule"
UNSET = (
    *("application", "canceled_at", "completed_at", "customer_account", "released_at"),
    *("released_subscription", "renewal_interval", "test_clock"),
)


def create(context: Context, params: Json) -> Json:
    """A schedule over a running subscription: one phase, as the subscription is now."""
    id = params["from_subscription"]
    subscription = context.need("subscription", id, param="from_subscription")
    refusal = _why_not(subscription)
    if refusal is not None:
        raise StripeError(refusal, param="from_subscription")
    phase = schedule_phases.of_subscription(subscription)
    schedule: Json = {
        "id": ids.new("sub_sched"),
        "object": KIND,
        **dict.fromkeys(UNSET),
        "billing_mode": subscription["billing_mode"],
        "created": context.now,
        "current_phase": _dates(phase),
        "customer": subscription["customer"],
        "default_settings": schedule_phases.settings_of(subscription),
        "end_behavior": "release",
        "livemode": False,
        "metadata": merged({}, params.get("metadata")),
        "phases": [phase],
        "status": "active",
        "subscription": subscription["id"],
    }
    context.tx.insert(schedule)
    before = copied(subscription)
    subscription["schedule"] = schedule["id"]
    _set_due(context, subscription, schedule)
    events.emit(context, "subscription_schedule.created", schedule)
    subscription_docs.tell(context, subscription, before)
    return schedule


def _why_not(subscription: Json) -> str | None:
    """Why the subscription cannot have a schedule."""
    if subscription["status"] not in ("active", "past_due", "trialing", "unpaid"):
        return f"A subscription that is {subscription['status']} cannot have a schedule."
    if subscription["schedule"]:
        return (
            "You cannot migrate a subscription that is already attached to a schedule: "
            f"`{subscription['schedule']}`."
        )
    if subscription["cancel_at"]:
        return "You cannot create a schedule from a subscription that is set to cancel."
    return None


def _dates(phase: Json) -> Json:
    return {"end_date": phase["end_date"], "start_date": phase["start_date"]}


def _set_due(context: Context, subscription: Json, schedule: Json | None) -> None:
    """Note when the current phase ends."""
    phase_at = schedule["current_phase"]["end_date"] if schedule else None
    private = {**subscription_docs.private_of(context, subscription), "phase_at": phase_at}
    subscription_docs.save(context, subscription, private)


def _need_active(context: Context, id: str, verb: str) -> Json:
    schedule = context.need(KIND, id)
    if schedule["status"] != "active":
        raise StripeError(
            f"You cannot {verb} a subscription schedule that is currently in the "
            f"`{schedule['status']}` status. It must be in the `active` status."
        )
    return schedule


def update(context: Context, params: Json, id: str) -> Json:
    """Change what is to come. The phase under way stays as it is but for its end."""
    schedule = _need_active(context, id, "update")
    before = copied(schedule)
    subscription = context.need("subscription", schedule["subscription"])
    schedule["end_behavior"] = params.get("end_behavior", schedule["end_behavior"])
    schedule["metadata"] = merged(schedule["metadata"], params.get("metadata"))
    if "phases" in params:
        schedule["phases"] = schedule_phases.read(context, subscription, schedule, params["phases"])
        under_way = [one for one in schedule["phases"] if one["end_date"] > context.now]
        if not under_way or under_way[0]["start_date"] > context.now:
            raise bad_param("One phase must be under way.", "phases")
        schedule["current_phase"] = _dates(under_way[0])
        _set_due(context, subscription, schedule)
    return events.save_and_tell(context, "subscription_schedule.updated", schedule, before)


def release(context: Context, params: Json, id: str) -> Json:
    """Let go of the subscription, which goes on as it is."""
    schedule = _need_active(context, id, "release")
    subscription = context.need("subscription", schedule["subscription"])
    before = copied(subscription)
    _release(context, schedule, subscription)
    subscription_docs.tell(context, subscription, before)
    return schedule


def _release(context: Context, schedule: Json, subscription: Json) -> None:
    """Without telling of the subscription."""
    schedule |= {
        "current_phase": None,
        "released_at": context.now,
        "released_subscription": subscription["id"],
        "status": "released",
        "subscription": None,
    }
    context.tx.save(schedule)
    subscription["schedule"] = None
    _set_due(context, subscription, None)
    events.emit(context, "subscription_schedule.released", schedule)


def cancel(context: Context, params: Json, id: str) -> Json:
    """End the schedule and its subscription now."""
    schedule = _need_active(context, id, "cancel")
    subscription = context.need("subscription", schedule["subscription"])
    collection.end(context, subscription, reason="cancellation_requested")
    return context.need(KIND, id)


def step(context: Context, subscription: Json) -> bool:
    """The phase under way is over: go into the next, or to the end. Whether there still is one.

    The caller saves the subscription and tells of it.
    """
    schedule = context.need(KIND, subscription["schedule"])
    if enter_phase(context, subscription, context.now):
        before = copied(schedule)
        phase = schedule_phases.at(schedule, context.now)
        schedule["current_phase"] = phase and _dates(phase)
        events.save_and_tell(context, "subscription_schedule.updated", schedule, before)
        _set_due(context, subscription, schedule)
        return True
    if schedule["end_behavior"] == "release":
        _release(context, schedule, subscription)
        return True
    schedule |= {"completed_at": context.now, "current_phase": None, "status": "completed"}
    context.tx.save(schedule)
    events.emit(context, "subscription_schedule.completed", schedule)
    collection.end(context, subscription, reason="cancellation_requested")
    return False


def enter_phase(context: Context, subscription: Json, moment: int) -> bool:
    """Give the subscription what the phase that begins at ``moment`` says; False if none does.

    Where a period ends, nothing is prorated. Within one, the phase's ``proration_behavior`` rules,
    and another interval begins a new cycle, whose period the caller bills.
    """
    schedule = context.tx.get(KIND, subscription["schedule"] or "")
    phase = schedule and schedule_phases.at(schedule, moment)
    if not phase or phase["start_date"] != moment:
        return False
    old = copied(subscription)["items"]["data"]
    period = subscription_docs.period_of(subscription)
    schedule_phases.apply(context, subscription, phase)
    behavior = phase["proration_behavior"]
    if not schedule_phases.same_cycle(subscription, old):
        if moment < period[1] and behavior != "none":
            lines = proration.credits_of(context, subscription, old, at=moment)
            invoicing.keep_pending(context, subscription, lines)
        subscription["billing_cycle_anchor"] = moment
        subscription_docs.set_period(subscription, (period[0], moment))
    elif moment < period[1] and behavior != "none":
        lines = proration.of_change(context, subscription, old, at=moment)
        invoicing.keep_pending(context, subscription, lines)
    return True


def follow(context: Context, subscription: Json, before: Json) -> None:
    """After a direct change of a scheduled subscription: its current phase says the same."""
    schedule = context.tx.get(KIND, subscription["schedule"] or "")
    if schedule is None or subscription["items"] == before["items"]:
        return
    old = copied(schedule)
    phase = schedule_phases.at(schedule, context.now)
    if phase is not None:
        phase["items"] = schedule_phases.items_shown(subscription)
        events.save_and_tell(context, "subscription_schedule.updated", schedule, old)


def listing(context: Context, params: Json) -> Json:
    """Schedules, newest first."""
    filters = lists.Filter()
    filters.field("customer", params.get("customer"))
    if params.get("scheduled"):
        filters.field("status", "not_started")
    for name in ("canceled_at", "completed_at", "released_at"):
        for operator, moment in params.get(name, {}).items():
            filters.where(f"json_extract(data, '$.{name}') {lists.OPERATORS[operator]} ?", moment)
    return lists.page(context, KIND, params, URL, filters=filters)


EXPANDABLE[KIND] = {
    "customer": ref("customer"),
    "phases.items.price": ref("price"),
    "subscription": ref("subscription"),
}
URL = "/v1/subscription_schedules"
CREATE = {
    **EXPAND,
    **not_here("billing_mode customer customer_account default_settings end_behavior"),
    **not_here("phases start_date"),
    "from_subscription": text(),
    "metadata": metadata,
}
UPDATE = {
    **EXPAND,
    **not_here("default_settings"),
    "end_behavior": text(one_of=("cancel", "release")),
    "metadata": metadata,
    "phases": schedule_phases.PHASES,
    "proration_behavior": text(one_of=schedule_phases.PRORATIONS),
}
LIST = {
    **PAGING,
    **not_here("customer_account"),
    **dict.fromkeys(("canceled_at", "completed_at", "released_at"), time_range),
    "customer": text(),
    "scheduled": boolean,
}

ROUTES = [
    Route("POST", URL, create, CREATE, ("from_subscription",)),
    Route("GET", URL, listing, LIST),
    Route("GET", f"{URL}/:id", lists.retriever(KIND)),
    Route("POST", f"{URL}/:id", update, UPDATE),
    Route("POST", f"{URL}/:id/release", release, {**EXPAND, "preserve_cancel_date": boolean}),
    Route("POST", f"{URL}/:id/cancel", cancel, {**EXPAND, **not_here("invoice_now prorate")}),
]
