"""Prices: a fixed amount per unit, once or recurring."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import events, ids, lists, products
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, bad_param
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import (
    EXPAND,
    PAGING,
    Fields,
    array,
    boolean,
    clearable,
    currency,
    group,
    integer,
    merged,
    metadata,
    not_here,
    require,
    text,
)
from sandbox.stripe.routes import Route

MAX_UNIT_AMOUNT = 99_999_999
TAX_BEHAVIORS = ("exclusive", "inclusive", "unspecified")

RECURRING: Fields = {
    **not_here("meter trial_period_days"),
    "interval": text(one_of=("day", "week", "month", "year")),
    "interval_count": integer(1, 36),
    "usage_type": text(one_of=("licensed",)),
}
COMMON: Fields = {
    **EXPAND,
    **not_here("currency_options"),
    "active": boolean,
    "lookup_key": clearable(text(200)),
    "metadata": metadata,
    "nickname": clearable(text()),
    "tax_behavior": text(one_of=TAX_BEHAVIORS),
    "transfer_lookup_key": boolean,
}
CREATE: Fields = {
    **COMMON,
    **not_here("custom_unit_amount tiers tiers_mode transform_quantity unit_amount_decimal"),
    "billing_scheme": text(one_of=("per_unit",)),
    "currency": currency,
    "product": text(),
    "product_data": group(
        {
            "active": boolean,
            "id": text(500),
            "metadata": metadata,
            "name": text(),
            "statement_descriptor": text(22),
            "tax_code": text(),
            "unit_label": text(12),
        },
        required=("name",),
    ),
    "recurring": group(RECURRING, required=("interval",)),
    "unit_amount": integer(0, MAX_UNIT_AMOUNT),
}


def build(context: Context, params: Json, product: str) -> Json:
    """A price as a document, not stored yet."""
    recurring = params.get("recurring")
    return {
        "id": ids.new("price"),
        "object": "price",
        "active": params.get("active", True),
        "billing_scheme": "per_unit",
        "created": context.now,
        "currency": params["currency"],
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.get("lookup_key"),
        "metadata": merged({}, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product,
        "recurring": recurring
        and {
            "interval": recurring["interval"],
            "interval_count": recurring.get("interval_count", 1),
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": params["unit_amount"],
        "unit_amount_decimal": str(params["unit_amount"]),
    }


def create(context: Context, params: Json) -> Json:
    """A new price of a product that exists or of one made with it."""
    if ("product" in params) == ("product_data" in params):
        raise bad_param("Pass either product or product_data.", "product", "parameter_missing")
    if "product" in params:
        product = context.need("product", params["product"], param="product")
    else:
        product = products.create(context, params["product_data"])
    price = build(context, params, product["id"])
    _claim_lookup_key(context, price, transfer=params.get("transfer_lookup_key", False))
    context.tx.insert(price)
    events.emit(context, "price.created", price)
    return price


def _claim_lookup_key(context: Context, price: Json, *, transfer: bool) -> None:
    """One price holds a lookup key; ``transfer`` takes it away from the one that has it."""
    key = price["lookup_key"]
    if key is None:
        return
    same_key = "json_extract(data, '$.lookup_key') = ?"
    for holder in context.tx.find("price", same_key, (key,)):
        if holder["id"] == price["id"]:
            continue
        if not transfer:
            message = (
                f"A price (`{holder['id']}`) already uses that lookup key. Set "
                "`transfer_lookup_key=true` to move it to this price."
            )
            raise StripeError(message, param="lookup_key")
        before = copied(holder)
        holder["lookup_key"] = None
        events.save_and_tell(context, "price.updated", holder, before)


def update(context: Context, params: Json, id: str) -> Json:
    """Change what may change; amount, currency and product never do."""
    price = context.need("price", id)
    before = copied(price)
    for name in ("active", "lookup_key", "nickname", "tax_behavior"):
        if name in params:
            price[name] = params[name]
    if before["tax_behavior"] not in ("unspecified", price["tax_behavior"]):
        raise StripeError("tax_behavior cannot be changed once set.", param="tax_behavior")
    price["metadata"] = merged(price["metadata"], params.get("metadata"))
    _claim_lookup_key(context, price, transfer=params.get("transfer_lookup_key", False))
    return events.save_and_tell(context, "price.updated", price, before)


def inline(context: Context, data: Json, path: str) -> Json:
    """A price made inside another request (``price_data``): inactive, not reusable, untold."""
    if ("product" in data) == ("product_data" in data):
        message = f"Pass either {path}[product] or {path}[product_data]."
        raise bad_param(message, f"{path}[product_data]", "parameter_missing")
    require(data, ("currency", "unit_amount"), path)
    if "product" in data:
        product = context.need("product", data["product"], param=f"{path}[product]")
    else:
        product = products.build(context, {**data["product_data"], "active": False})
        context.tx.insert(product)
    price = build(context, {**data, "active": False}, product["id"])
    context.tx.insert(price)
    return price


def listing(context: Context, params: Json) -> Json:
    """Prices, newest first."""
    filters = lists.Filter()
    filters.field("active", int(params["active"]) if "active" in params else None)
    for name in ("currency", "product", "type"):
        filters.field(name, params.get(name))
    filters.among("lookup_key", params.get("lookup_keys"))
    for name, value in params.get("recurring", {}).items():
        filters.field(f"recurring.{name}", value)
    return lists.page(context, "price", params, "/v1/prices", filters=filters)


def _currency_options(context: Context, price: Json, value: object) -> Json:
    kept = ("custom_unit_amount", "tax_behavior", "unit_amount", "unit_amount_decimal")
    return {price["currency"]: {name: price[name] for name in kept}}


EXPANDABLE["price"] = {
    "currency_options": _currency_options,
    "product": ref("product"),
    "tiers": lambda context, price, value: [],
}

ROUTES = [
    Route("POST", "/v1/prices", create, CREATE, ("currency", "unit_amount")),
    Route(
        "GET",
        "/v1/prices",
        listing,
        {
            **PAGING,
            "active": boolean,
            "currency": currency,
            "lookup_keys": array(text(), maximum=10),
            "product": text(),
            "recurring": group({"interval": text(), "usage_type": text(), **not_here("meter")}),
            "type": text(one_of=("one_time", "recurring")),
        },
    ),
    Route("GET", "/v1/prices/:id", lists.retriever("price")),
    Route("POST", "/v1/prices/:id", update, COMMON),
]
