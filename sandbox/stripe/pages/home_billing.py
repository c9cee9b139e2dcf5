"""The control page's sections on time, subscriptions and invoices."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.html import Child, Markup, el
from sandbox.store import Json
from sandbox.stripe import clock, collection, invoices, payment_methods, steps, subscription_docs
from sandbox.stripe.amounts import display
from sandbox.stripe.context import Context
from sandbox.stripe.pages import portal_data
from sandbox.stripe.pages.common import day
from sandbox.stripe.pages.invoice_view import card_name
from sandbox.stripe.pages.parts import button

ROWS = 15
GOOD, BAD = "4242424242424242", "4000000000000341"
LABELS = {
    "hour": "+1 hour",
    "day": "+1 day",
    "week": "+1 week",
    "month": "+1 month",
    "year": "+1 year",
    "renewal": "To the next renewal",
}


def clock_section(context: Context) -> Markup:
    """What time it is here, and buttons that move it on."""
    buttons = [
        el("button", label, name="step", value=step, id=f"clock-{step}", class_="quiet")
        for step, label in LABELS.items()
        if steps.target(context, step) is not None
    ]
    return el(
        "section",
        el("h2", "Clock"),
        el("p", moment(context.now), " ", el("small", _ahead(context), id="clock-offset")),
        el("form", buttons, method="post", action="/clock", class_="buttons"),
        id="clock",
    )


def moment(at: float) -> Markup:
    """A moment to the second, in UTC."""
    time = datetime.fromtimestamp(at, UTC)
    return el("strong", f"{time:%a} {time.day} {time:%b %Y, %H:%M:%S} UTC", id="clock-now")


def _ahead(context: Context) -> str:
    offset = clock.offset(context.tx)
    if not offset:
        return "the real time"
    days, seconds = divmod(int(offset), 24 * 3600)
    hours = f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{days} days {hours} ahead of the real time"


def subscriptions_section(context: Context) -> Markup:
    """What runs: its plan, its period, what comes next."""
    shown = [_subscription(context, one) for one in _live_first(context)[:ROWS]]
    empty = el("p", "None yet.", class_="hint")
    return el("section", el("h2", "Subscriptions"), shown or empty, id="subscriptions")


def _entry(id: str, title: Child, status: str, facts: list[str], buttons: Child) -> Markup:
    """A thing in a few short lines that fit on a phone, with its buttons."""
    return el(
        "article",
        el("div", title, " ", el("span", status, class_="badge")),
        el("div", " · ".join(facts), class_="soft facts"),
        el("div", buttons) if buttons else None,
        id=id,
        class_="entry",
    )


def _live_first(context: Context) -> list[Json]:
    found = context.tx.latest(subscription_docs.KIND, 200)
    return sorted(found, key=lambda one: one["status"] in subscription_docs.ENDED)


def _subscription(context: Context, subscription: Json) -> Markup:
    plan = portal_data.plan_of(context, subscription)
    start, end = subscription_docs.period_of(subscription)
    customer = context.tx.get("customer", subscription["customer"]) or {}
    ended = subscription["status"] in subscription_docs.ENDED
    method = context.tx.get(payment_methods.KIND, _method_id(subscription, customer) or "")
    facts = [customer.get("email") or subscription["customer"], f"{day(start)} – {day(end)}"]
    if not ended:
        facts += [_next(context, subscription), _card(context, method)]
    return _entry(
        subscription["id"],
        [el("strong", plan.name), f" {plan.price}"],
        subscription["status"],
        facts,
        None if ended else _subscription_buttons(context, subscription, method),
    )


def _method_id(subscription: Json, customer: Json) -> str | None:
    usual = customer.get("invoice_settings", {}).get("default_payment_method")
    found: str | None = subscription["default_payment_method"] or usual
    return found


def _card(context: Context, method: Json | None) -> str:
    if method is None:
        return "no card"
    declines = payment_methods.off_session_decline(context, method["id"])
    return card_name(method) + (", declines" if declines else "")


def _next(context: Context, subscription: Json) -> str:
    """The next thing that happens by itself."""
    for invoice in reversed(invoices.of_subscription(context, subscription["id"])):
        if invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            return f"is charged on {_hour(invoice['automatically_finalizes_at'])}"
        if invoice["status"] == "open" and invoice["next_payment_attempt"]:
            return f"retries on {_hour(invoice['next_payment_attempt'])}"
    if subscription["cancel_at"] is not None:
        return f"ends on {day(subscription['cancel_at'])}"
    if subscription["status"] == "trialing":
        return f"trial ends on {day(subscription['trial_end'])}"
    if subscription["status"] == "incomplete":
        return "waits for its first payment"
    change = "changes" if subscription["schedule"] else "renews"
    return f"{change} on {day(subscription_docs.period_of(subscription)[1])}"


def _hour(at: int) -> str:
    time = datetime.fromtimestamp(at, UTC)
    return f"{time.day} {time:%b, %H:%M}"


def _subscription_buttons(context: Context, subscription: Json, method: Json | None) -> list[Child]:
    cancel = button(
        f"subscriptions/{subscription['id']}/cancel",
        "Cancel now",
        id=f"cancel-{subscription['id']}",
    )
    if method is None:
        return [cancel]
    path = f"payment_methods/{method['id']}/bank"
    if payment_methods.off_session_decline(context, method["id"]):
        mood = button(path, "Make the card good", id=f"good-{subscription['id']}", card=GOOD)
    else:
        mood = button(path, "Make the card decline", id=f"decline-{subscription['id']}", card=BAD)
    return [mood, cancel]


def invoices_section(context: Context) -> Markup:
    """The latest invoices; open ones can be paid or taken back."""
    shown = [_invoice(context, one) for one in _open_first(context)[:ROWS]]
    empty = el("p", "None yet.", class_="hint")
    return el("section", el("h2", "Invoices"), shown or empty, id="invoices")


def _open_first(context: Context) -> list[Json]:
    found = context.tx.latest(invoices.KIND, 200)
    return sorted(found, key=lambda one: one["status"] not in ("open", "draft"))


def _invoice(context: Context, invoice: Json) -> Markup:
    name: Child = el("code", invoice["id"])
    if invoice["hosted_invoice_url"]:
        name = el("a", invoice["number"], href=invoice["hosted_invoice_url"])
    amount = display(invoice["total"], invoice["currency"])
    facts = [invoice["customer_email"] or invoice["customer"]]
    if invoice["attempt_count"] > 1 or invoice["status"] == "open":
        facts.append(f"attempts: {invoice['attempt_count']}")
    next_try = invoice["automatically_finalizes_at"] or invoice["next_payment_attempt"]
    if next_try:
        facts.append(f"next try {_hour(next_try)}")
    title: list[Child] = [name, f" {amount}"]
    return _entry(
        invoice["id"], title, invoice["status"], facts, _invoice_buttons(context, invoice)
    )


def _invoice_buttons(context: Context, invoice: Json) -> list[Child]:
    if invoice["status"] != "open":
        return []
    path, id = f"invoices/{invoice['id']}", invoice["id"]
    pay = button(f"{path}/pay", "Pay", id=f"pay-{id}")
    can_pay = collection.method_for(context, invoice) is not None
    return [pay if can_pay else None, button(f"{path}/void", "Void", id=f"void-{id}")]
