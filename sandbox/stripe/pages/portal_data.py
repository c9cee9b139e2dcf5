"""What the portal page shows, read from the objects and put into words."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.store import Json
from sandbox.stripe import invoice_lines, invoices, payment_methods, portal, subscription_docs
from sandbox.stripe.amounts import display
from sandbox.stripe.context import Context
from sandbox.stripe.pages.common import day
from sandbox.stripe.pages.invoice_view import STATES, card_name

INVOICES_SHOWN = 24
FEATURES = ("customer_update", "invoice_history", "payment_method_update", "subscription_cancel")


@dataclass(frozen=True, slots=True)
class Plan:
    """A subscription in words."""

    id: str
    name: str
    price: str
    status: str
    next: str
    until: str
    ends: bool


@dataclass(frozen=True, slots=True)
class SavedCard:
    """A payment method in words."""

    id: str
    name: str
    expiry: str
    is_default: bool
    is_removable: bool


@dataclass(frozen=True, slots=True)
class Row:
    """An invoice in words."""

    date: str
    number: str
    about: str
    amount: str
    status: str
    href: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class Data:
    """All that the page shows. ``base`` is its own address."""

    base: str
    return_url: str | None
    headline: str
    customer: Json
    features: Json
    plans: list[Plan]
    cards: list[SavedCard]
    invoices: list[Row]


def gather(context: Context, session: Json, base: str) -> Data:
    """Everything for one visit."""
    configuration = context.need("billing_portal.configuration", session["configuration"])
    return Data(
        base=base,
        return_url=session["return_url"],
        headline=configuration["business_profile"]["headline"] or "Manage your billing",
        customer=context.need("customer", session["customer"]),
        features={name: portal.feature(context, session, name) for name in FEATURES},
        plans=[plan_of(context, one) for one in portal.live_subscriptions(context, session)],
        cards=_cards(context, session),
        invoices=_invoices(context, session),
    )


def plan_of(context: Context, subscription: Json) -> Plan:
    """A subscription as its owner sees it."""
    items = subscription_docs.items_of(subscription)
    names = [invoice_lines.product_name(context, item["price"]) for item in items]
    amount = sum(
        invoice_lines.discounted(
            context,
            subscription["discounts"],
            product=item["price"]["product"],
            amount=item["price"]["unit_amount"] * item["quantity"],
        )
        for item in items
    )
    recurring = subscription_docs.recurring_of(subscription)
    count, interval = recurring["interval_count"], recurring["interval"]
    every = f"per {interval}" if count == 1 else f"every {count} {interval}s"
    return Plan(
        id=subscription["id"],
        name=" and ".join(names),
        price=f"{display(amount, subscription['currency'])} {every}",
        status=_status(subscription),
        next=_next(subscription),
        until=day(subscription_docs.period_of(subscription)[1]),
        ends=subscription["cancel_at"] is not None,
    )


def _status(subscription: Json) -> str:
    if subscription["cancel_at"] is not None:
        return "Cancelled"
    words: dict[str, str] = {"trialing": "Free trial", "past_due": "Past due"}
    status: str = subscription["status"]
    return words.get(status, status.replace("_", " ").capitalize())


def _next(subscription: Json) -> str:
    """What happens next, and when."""
    end = subscription_docs.period_of(subscription)[1]
    if subscription["cancel_at"] is not None:
        return f"Ends on {day(subscription['cancel_at'])}."
    if subscription["status"] == "trialing":
        return f"The trial ends on {day(subscription['trial_end'])}, then it is paid."
    if subscription["status"] in ("past_due", "unpaid", "incomplete"):
        return "A payment did not go through: pay the open invoice below."
    return f"Renews on {day(end)}."


def _cards(context: Context, session: Json) -> list[SavedCard]:
    default = portal.default_method(context, session)
    has_plan = bool(portal.live_subscriptions(context, session))
    return [
        SavedCard(
            id=method["id"],
            name=card_name(method),
            expiry=f"{method['card']['exp_month']:02d}/{method['card']['exp_year']}",
            is_default=method["id"] == default,
            is_removable=not (has_plan and method["id"] == default),
        )
        for method in payment_methods.of_customer(context, session["customer"])
        if method["type"] == "card"
    ]


def _invoices(context: Context, session: Json) -> list[Row]:
    mine = "json_extract(data, '$.customer') = ? AND json_extract(data, '$.status') <> 'draft'"
    found = context.tx.find(invoices.KIND, mine, (session["customer"],))[::-1]
    return [
        Row(
            date=day(one["effective_at"]),
            number=one["number"],
            about=", ".join(_about(line) for line in one["lines"]["data"]),
            amount=display(one["total"], one["currency"]),
            status=STATES[one["status"]].partition(":")[0].partition(",")[0],
            href=one["hosted_invoice_url"],
            is_open=one["status"] == "open",
        )
        for one in found[:INVOICES_SHOWN]
    ]


def _about(line: Json) -> str:
    return str(line["description"]).partition(" (at ")[0]
