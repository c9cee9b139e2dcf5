"""Changing what a subscription bills within a period: the rest given back, the rest asked for."""

from __future__ import annotations

from fractions import Fraction

from sandbox.store import Json
from sandbox.stripe import invoice_lines, subscription_docs
from sandbox.stripe.amounts import rounded
from sandbox.stripe.context import Context
from sandbox.stripe.periods import day_shown


def credit(
    context: Context, subscription: Json, item: Json, billed: Json | None, at: int
) -> list[Json]:
    """The line that gives back what was billed for the item and lies after ``at``.

    It is a share of what was really asked for, and of the tax on it: a discount of the old period
    is not given back.
    """
    if billed is None or not billed["net"] or at >= billed["end"]:
        return []
    since = max(at, billed["start"])
    share = Fraction(billed["end"] - since, billed["end"] - billed["start"])
    name = invoice_lines.product_name(context, item["price"])
    of = billed["invoice"] and {
        "invoice": billed["invoice"],
        "invoice_line_items": [billed["line"]],
    }
    line = invoice_lines.line(
        subscription,
        _as_billed(context, item, billed),
        amount=-rounded(billed["net"] * share),
        period=(since, billed["end"]),
        description=f"Unused time on {_times(billed['quantity'])}{name} after {day_shown(at)}",
        unit_amount=None,
        proration={"credited_items": of},
    )
    tax = rounded(billed["tax"] * share)
    line["taxes"] = invoice_lines.taxes_shown(-tax, line["amount"]) if tax else []
    return [line]


def _as_billed(context: Context, item: Json, billed: Json) -> Json:
    """The item with the price and quantity that were billed; prices may have changed unbilled."""
    price = context.tx.get("price", billed["price"]) or item["price"]
    return {**item, "price": price, "quantity": billed["quantity"]}


def debit(
    context: Context, subscription: Json, item: Json, *, at: int, period: tuple[int, int]
) -> Json:
    """The line that asks for the item's rest of ``period`` after ``at``, net of the discounts."""
    price = item["price"]
    share = Fraction(period[1] - at, period[1] - period[0])
    gross = rounded(price["unit_amount"] * item["quantity"] * share)
    running = subscription_docs.running_discounts(context, subscription, context.now)
    amount = invoice_lines.discounted(
        context, running, product=price["product"], amount=gross, share=share
    )
    name = invoice_lines.product_name(context, price)
    return invoice_lines.line(
        subscription,
        item,
        amount=amount,
        period=(at, period[1]),
        description=f"Remaining time on {_times(item['quantity'])}{name} after {day_shown(at)}",
        unit_amount=None,
        proration={"credited_items": None},
    )


def of_change(context: Context, subscription: Json, old: list[Json], *, at: int) -> list[Json]:
    """The lines of a change from the items ``old`` to those the subscription has now."""
    billed = subscription_docs.private_of(context, subscription)["billed"]
    kept = {item["id"]: item for item in subscription_docs.items_of(subscription)}
    lines: list[Json] = []
    for item in old:
        if _changed(item, kept.get(item["id"])):
            lines += credit(context, subscription, item, billed.get(item["id"]), at)
    before = {item["id"]: item for item in old}
    period = subscription_docs.period_of({"items": {"data": old}})
    for item in subscription_docs.items_of(subscription):
        if _changed(item, before.get(item["id"])):
            lines.append(debit(context, subscription, item, at=at, period=period))
    return lines


def credits_of(context: Context, subscription: Json, old: list[Json], *, at: int) -> list[Json]:
    """The lines that give the rest of a period back in which the whole cycle begins anew."""
    billed = subscription_docs.private_of(context, subscription)["billed"]
    return [
        line
        for item in old
        for line in credit(context, subscription, item, billed.get(item["id"]), at)
    ]


def _changed(item: Json, other: Json | None) -> bool:
    if other is None:
        return True
    return (item["price"]["id"], item["quantity"]) != (other["price"]["id"], other["quantity"])


def _times(quantity: int) -> str:
    return "" if quantity == 1 else f"{quantity} × "
