"""Customers."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import events, ids, lists
from sandbox.stripe.context import Context, copied
from sandbox.stripe.expand import EXPANDABLE, Resolver, ref
from sandbox.stripe.params import (
    ADDRESS,
    EXPAND,
    PAGING,
    Fields,
    array,
    clearable,
    email,
    group,
    merged,
    metadata,
    not_here,
    text,
)
from sandbox.stripe.routes import Route

PLAIN = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping")

SHIPPING: Fields = {"address": group(ADDRESS), "name": text(), "phone": clearable(text(20))}

WRITE: Fields = {
    **EXPAND,
    **not_here(
        "balance business_name cash_balance individual_name invoice_prefix next_invoice_sequence "
        "payment_method source tax tax_id_data test_clock validate default_source invoice_settings"
    ),
    "address": clearable(group(ADDRESS)),
    "description": clearable(text()),
    "email": clearable(email),
    "metadata": metadata,
    "name": clearable(text(256)),
    "phone": clearable(text(20)),
    "preferred_locales": array(text(20)),
    "shipping": clearable(group(SHIPPING, required=("address", "name"))),
    "tax_exempt": clearable(text(one_of=("none", "exempt", "reverse"))),
}


def full_address(sent: Json | None) -> Json | None:
    """An address with every field Stripe shows."""
    return None if sent is None else {name: sent.get(name) for name in ADDRESS}


def create(context: Context, params: Json) -> Json:
    """A new customer."""
    customer: Json = {
        "id": ids.new("cus"),
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": context.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": ids.token(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    _apply(customer, params)
    context.tx.insert(customer)
    events.emit(context, "customer.created", customer)
    return customer


def _apply(customer: Json, params: Json) -> None:
    customer.update({name: params[name] for name in PLAIN if name in params})
    customer["address"] = full_address(customer["address"])
    if params.get("shipping"):
        customer["shipping"] = {
            **dict.fromkeys(("carrier", "name", "phone", "tracking_number")),
            **params["shipping"],
            "address": full_address(params["shipping"].get("address", {})),
        }
    customer["tax_exempt"] = params.get("tax_exempt") or customer["tax_exempt"]
    customer["metadata"] = merged(customer["metadata"], params.get("metadata"))


def retrieve(context: Context, params: Json, id: str) -> Json:
    """The customer; of a deleted one only that it was."""
    gone = "SELECT 1 FROM objects WHERE kind = 'customer' AND id = ? AND deleted"
    if context.tx.rows(gone, (id,)):
        return {"id": id, "object": "customer", "deleted": True}
    return context.need("customer", id)


def update(context: Context, params: Json, id: str) -> Json:
    """Change what was sent; an update that changes nothing tells nobody."""
    customer = context.need("customer", id)
    before = copied(customer)
    _apply(customer, params)
    return events.save_and_tell(context, "customer.updated", customer, before)


def delete(context: Context, params: Json, id: str) -> Json:
    """Remove the customer; payments keep its id."""
    customer = context.need("customer", id)
    context.tx.delete("customer", id)
    events.emit(context, "customer.deleted", customer)
    return {"id": id, "object": "customer", "deleted": True}


def _nothing(path: str) -> Resolver:
    """Lists that are always empty here: what they hold is not modelled."""
    return lambda context, obj, value: lists.envelope([], f"/v1/customers/{obj['id']}/{path}")


EXPANDABLE["customer"] = {
    "default_source": lambda context, obj, value: value,
    "invoice_settings.default_payment_method": ref("payment_method"),
    "sources": _nothing("sources"),
    "subscriptions": _nothing("subscriptions"),
    "tax_ids": _nothing("tax_ids"),
    "invoice_credit_balance": lambda context, obj, value: {},
    "tax": lambda context, obj, value: {
        "automatic_tax": "unrecognized_location",
        "ip_address": None,
        "location": None,
        "provider": "stripe",
    },
}

ROUTES = [
    Route("POST", "/v1/customers", create, WRITE),
    Route(
        "GET",
        "/v1/customers",
        lists.lister("customer", "/v1/customers", "email"),
        {**PAGING, **not_here("test_clock"), "email": text(512)},
    ),
    Route("GET", "/v1/customers/:id", retrieve),
    Route("POST", "/v1/customers/:id", update, WRITE),
    Route("DELETE", "/v1/customers/:id", delete),
]
