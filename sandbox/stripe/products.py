"""Products."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import events, ids, lists
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
    group,
    merged,
    metadata,
    not_here,
    text,
    url,
)
from sandbox.stripe.routes import Route

PLAIN = (
    "active",
    "description",
    "images",
    "marketing_features",
    "name",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
)

COMMON: Fields = {
    **EXPAND,
    **not_here("package_dimensions"),
    "active": boolean,
    "description": clearable(text(40_000)),
    "images": array(url, maximum=8),
    "marketing_features": array(group({"name": text(80)}, required=("name",)), maximum=15),
    "metadata": metadata,
    "name": text(),
    "shippable": boolean,
    "statement_descriptor": text(22),
    "tax_code": clearable(text()),
    "unit_label": clearable(text(12)),
    "url": clearable(url),
}
CREATE: Fields = {
    **COMMON,
    **not_here("default_price_data"),
    "id": text(500),
    "type": text(one_of=("good", "service")),
}
UPDATE: Fields = {**COMMON, "default_price": clearable(text())}


def build(context: Context, params: Json) -> Json:
    """A product as a document, not stored yet."""
    product: Json = {
        "id": params.get("id") or ids.new("prod"),
        "object": "product",
        "active": True,
        "created": context.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": None,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": params.get("type", "service"),
        "unit_label": None,
        "updated": context.now,
        "url": None,
    }
    _apply(product, params)
    return product


def _apply(product: Json, params: Json) -> None:
    product.update({name: params[name] for name in PLAIN if name in params})
    product["metadata"] = merged(product["metadata"], params.get("metadata"))


def create(context: Context, params: Json) -> Json:
    """A new product, under an id of the caller's choice if one is given."""
    product = build(context, params)
    taken = "SELECT 1 FROM objects WHERE kind = 'product' AND id = ?"
    if context.tx.rows(taken, (product["id"],)):
        message = f"Product already exists: '{product['id']}'"
        raise StripeError(message, code="resource_already_exists", param="id")
    context.tx.insert(product)
    events.emit(context, "product.created", product)
    return product


def update(context: Context, params: Json, id: str) -> Json:
    """Change what was sent."""
    product = context.need("product", id)
    before = copied(product)
    _apply(product, params)
    if "default_price" in params:
        if params["default_price"] is not None:
            price = context.need("price", params["default_price"], param="default_price")
            if price["product"] != id:
                raise bad_param("The price belongs to another product.", "default_price")
        product["default_price"] = params["default_price"]
    if product != before:
        product["updated"] = context.now
    return events.save_and_tell(context, "product.updated", product, before)


def delete(context: Context, params: Json, id: str) -> Json:
    """Remove a product that never had a price."""
    product = context.need("product", id)
    if context.tx.find("price", "json_extract(data, '$.product') = ?", (id,)):
        message = "This product cannot be deleted because it has one or more user-created prices."
        raise StripeError(message)
    context.tx.delete("product", id)
    events.emit(context, "product.deleted", product)
    return {"id": id, "object": "product", "deleted": True}


def listing(context: Context, params: Json) -> Json:
    """Products, newest first."""
    filters = lists.Filter()
    for name in ("active", "shippable"):
        filters.field(name, int(params[name]) if name in params else None)
    for name in ("type", "url"):
        filters.field(name, params.get(name))
    filters.among("id", params.get("ids"))
    return lists.page(context, "product", params, "/v1/products", filters=filters)


def features(context: Context, params: Json, id: str) -> Json:
    """The product's entitlements: there are none here."""
    context.need("product", id)
    return lists.envelope([], f"/v1/products/{id}/features")


EXPANDABLE["product"] = {
    "default_price": ref("price"),
    "tax_code": lambda context, obj, value: value,
}

ROUTES = [
    Route("POST", "/v1/products", create, CREATE, ("name",)),
    Route(
        "GET",
        "/v1/products",
        listing,
        {
            **PAGING,
            "active": boolean,
            "ids": array(text()),
            "shippable": boolean,
            "type": text(),
            "url": text(),
        },
    ),
    Route("GET", "/v1/products/:id", lists.retriever("product")),
    Route("POST", "/v1/products/:id", update, UPDATE),
    Route("DELETE", "/v1/products/:id", delete),
    Route("GET", "/v1/products/:id/features", features, PAGING),
]
