"""The lines of a new Checkout Session, from prices that exist or are made with it."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import ids, prices
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, bad_param, not_modelled
from sandbox.stripe.params import merged


def build(context: Context, params: Json) -> tuple[list[Json], str]:
    """The lines and their one currency. Raises StripeError for a price that does not fit."""
    mode = params["mode"]
    lines = [_line(context, sent, place, mode) for place, sent in enumerate(params["line_items"])]
    currencies = {line.pop("currency") for line in lines}
    if len(currencies) != 1 or params.get("currency", *currencies) not in currencies:
        raise StripeError("All line items must be in one currency.", param="line_items")
    if mode == "subscription":
        _check_recurring(lines)
        cycles = {(line["recurring"]["interval"], line["recurring"]["count"]) for line in lines}
        if len(cycles) != 1:
            message = "Checkout does not support multiple prices with different billing intervals."
            raise StripeError(message, param="line_items")
    return lines, currencies.pop()


def _check_recurring(lines: list[Json]) -> None:
    once = [line for line in lines if line["recurring"] is None]
    if len(once) == len(lines):
        message = (
            "You must provide at least one recurring price in `subscription` mode when using "
            "prices."
        )
        raise StripeError(message, param="line_items")
    if once:
        raise not_modelled("line_items: one-time prices in subscription mode")


def _line(context: Context, sent: Json, place: int, mode: str) -> Json:
    path = f"line_items[{place}]"
    price = _price(context, sent, path)
    recurring = price["recurring"]
    if mode == "payment" and recurring is not None:
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to "
            "`subscription` mode or use only one-time prices."
        )
        raise StripeError(message, param=f"{path}[price]")
    if price["tax_behavior"] == "inclusive":
        raise not_modelled("tax_behavior=inclusive")
    if "quantity" not in sent:
        message = f"Missing required param: {path}[quantity]."
        raise bad_param(message, f"{path}[quantity]", "parameter_missing")
    product = context.need("product", price["product"])
    return {
        "id": ids.new("li"),
        "price": price["id"],
        "product": product["id"],
        "unit_amount": price["unit_amount"],
        "currency": price["currency"],
        "quantity": sent["quantity"],
        "description": product["name"],
        "metadata": merged({}, sent.get("metadata")),
        "adjustable_quantity": _adjustable(sent.get("adjustable_quantity")),
        "recurring": recurring
        and {"interval": recurring["interval"], "count": recurring["interval_count"]},
    }


def _price(context: Context, sent: Json, path: str) -> Json:
    if ("price" in sent) == ("price_data" in sent):
        raise bad_param(f"Pass either {path}[price] or {path}[price_data].", f"{path}[price]")
    if "price_data" in sent:
        return prices.inline(context, sent["price_data"], f"{path}[price_data]")
    price = context.need("price", sent["price"], param=f"{path}[price]")
    if not price["active"]:
        raise StripeError(f"The price {price['id']} is inactive.", param=f"{path}[price]")
    return price


def _adjustable(sent: Json | None) -> Json | None:
    if sent is None or not sent["enabled"]:
        return None
    return {
        "enabled": True,
        "maximum": sent.get("maximum", 99),
        "minimum": sent.get("minimum", 0),
    }
