"""Lines of invoices, and what they come to: discounts, then tax."""

from __future__ import annotations

from fractions import Fraction

from sandbox.store import Json
from sandbox.stripe import amounts, discounts, ids
from sandbox.stripe.amounts import Line, display
from sandbox.stripe.context import Context

WHOLE = Fraction(1)
TAX_RATE = "txr_1SandboxFlatRate0000000"


def line(
    subscription: Json,
    item: Json,
    *,
    amount: int,
    period: tuple[int, int],
    description: str,
    unit_amount: int | None,
    proration: Json | None = None,
) -> Json:
    """A line of a subscription. ``proration`` is None, or the items that it credits (or not)."""
    price = item["price"]
    return {
        "id": ids.new("il"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": proration is None,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": item["metadata"],
        "parent": _parent(subscription, item, proration),
        "period": {"end": period[1], "start": period[0]},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": None if unit_amount is None else str(unit_amount),
        },
        "quantity": item["quantity"],
        "quantity_decimal": str(item["quantity"]),
        "subscription": subscription["id"],
        "subtotal": amount,
        "taxes": [],
    }


def _parent(subscription: Json, item: Json, proration: Json | None) -> Json:
    return {
        "invoice_item_details": None,
        "subscription_item_details": {
            "invoice_item": ids.new("ii") if proration is not None else None,
            "proration": proration is not None,
            "proration_details": proration or {"credited_items": None},
            "subscription": subscription["id"],
            "subscription_item": item["id"],
        },
        "type": "subscription_item_details",
    }


def full_period(
    context: Context, subscription: Json, item: Json, period: tuple[int, int], *, trial: bool
) -> Json:
    """The line of a whole period, or of a free trial."""
    price, quantity = item["price"], item["quantity"]
    name = product_name(context, price)
    if trial:
        text, unit_amount = f"Trial period for {name}", 0
    else:
        unit_amount = price["unit_amount"]
        every, interval = price["recurring"]["interval_count"], price["recurring"]["interval"]
        often = interval if every == 1 else f"every {every} {interval}s"
        shown = display(unit_amount, price["currency"])
        text = f"{quantity} × {name} (at {shown} / {often})"
    return line(
        subscription,
        item,
        amount=unit_amount * quantity,
        period=period,
        description=text,
        unit_amount=unit_amount,
    )


def product_name(context: Context, price: Json) -> str:
    """What the price is for."""
    product = context.tx.get("product", price["product"])
    return str(product["name"]) if product else str(price["product"])


def is_proration(one: Json) -> bool:
    """Whether the line credits or charges a part of a period."""
    details = (one["parent"] or {}).get("subscription_item_details")
    return bool(details and details["proration"])


def reprice(
    context: Context,
    lines: list[Json],
    discount_ids: list[str],
    *,
    taxed: bool,
    tax_minor: int | None = None,
) -> None:
    """Write discounts and tax on the lines; ``tax_minor`` fixes the tax of all of them together.

    Credits keep the tax they were made with: that of what they give back.
    """
    for one in lines:
        one["discount_amounts"] = []
    for id in discount_ids:
        _take_off(lines, id, discounts.terms(context, id))
    for one in lines:
        one["pretax_credit_amounts"] = [
            {**taken, "type": "discount"} for taken in one["discount_amounts"]
        ]
    rate_bps = int(context.setting("tax_bps")) if taxed else 0
    owed = [one for one in lines if net(one) >= 0]
    sums = [Line(net(one)) for one in owed]
    amounts.apply_tax(sums, rate_bps=rate_bps, exact_minor=tax_minor)
    for one, part in zip(owed, sums, strict=True):
        one["taxes"] = taxes_shown(part.tax, net(one)) if part.tax else []


def net(one: Json) -> int:
    """What is asked for the line before tax."""
    return int(one["amount"]) - sum(int(taken["amount"]) for taken in one["discount_amounts"])


def tax_of(one: Json) -> int:
    """The line's tax; negative on a credit."""
    return sum(int(tax["amount"]) for tax in one["taxes"])


def _take_off(lines: list[Json], discount: str, terms: discounts.Terms) -> None:
    here = [one for one in lines if one["discountable"] and net(one) > 0]
    sums = [
        Line(net(one), terms.products is None or _product(one) in terms.products) for one in here
    ]
    amounts.apply_discount(sums, percent_off=terms.percent_off, amount_off=terms.amount_off)
    for one, part in zip(here, sums, strict=True):
        if part.discount:
            one["discount_amounts"].append({"amount": part.discount, "discount": discount})


def _product(one: Json) -> str:
    return str(one["pricing"]["price_details"]["product"])


def taxes_shown(amount: int, taxable: int) -> list[Json]:
    """The sandbox's one tax, as lines and totals show it."""
    return [
        {
            "amount": amount,
            "tax_behavior": "exclusive",
            "tax_rate_details": {"tax_rate": TAX_RATE},
            "taxability_reason": "standard_rated",
            "taxable_amount": taxable,
            "type": "tax_rate_details",
        }
    ]


def discounted(
    context: Context,
    discount_ids: list[str],
    *,
    product: str,
    amount: int,
    share: Fraction = WHOLE,
) -> int:
    """A period's price, or a share of it, after the discounts; ``once`` ones do not count.

    Of a coupon over an amount, the same share is taken off.
    """
    left = amount
    for id in discount_ids:
        terms = discounts.terms(context, id)
        if terms.duration == "once" or not (terms.products is None or product in terms.products):
            continue
        part = Line(left)
        amount_off = amounts.rounded((terms.amount_off or 0) * share)
        amounts.apply_discount([part], percent_off=terms.percent_off, amount_off=amount_off)
        left = part.net
    return left
