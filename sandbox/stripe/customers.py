"""Customers."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import events, ids, lists, payment_methods, subscriptions
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError, missing
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
        "source tax tax_id_data test_clock validate default_source"
    ),
    "address": clearable(group(ADDRESS)),
    "description": clearable(text()),
    "email": clearable(email),
    "invoice_settings": group(
        {
            **not_here("custom_fields footer rendering_options"),
            "default_payment_method": clearable(text()),
        }
    ),
    "metadata": metadata,
    "name": clearable(text(256)),
    "phone": clearable(text(20)),
    "preferred_locales": array(text(20)),
    "shipping": clearable(group(SHIPPING, required=("address", "name"))),
    "tax_exempt": clearable(text(one_of=("none", "exempt", "reverse"))),
}
CREATE: Fields = {**WRITE, "payment_method": text()}


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
    _apply_first_method(context, customer, params)
    context.tx.save(customer)
    events.emit(context, "customer.created", customer)
    return customer


def _apply_first_method(context: Context, customer: Json, params: Json) -> None:
    """Save the payment method that a new customer comes with, and make it the default if asked."""
    if "payment_method" not in params:
        _apply_default(context, customer, params)
        return
    where = {"customer": customer["id"]}
    saved = payment_methods.attach_to(context, where, params["payment_method"])
    if params.get("invoice_settings", {}).get("default_payment_method"):
        customer["invoice_settings"]["default_payment_method"] = saved["id"]


def _apply_default(context: Context, customer: Json, params: Json) -> None:
    """Take over the default payment method, which must be one of the customer's own."""
    sent = params.get("invoice_settings", {})
    if "default_payment_method" not in sent:
        return
    id = sent["default_payment_method"]
    method = context.tx.get(payment_methods.KIND, id or "")
    where = "invoice_settings[default_payment_method]"
    if id is not None and method is None:
        raise missing(payment_methods.KIND, id, param=where, status=400)
    if method is not None and method["customer"] != customer["id"]:
        message = (
            f"The customer does not have a payment method with the ID {id}. The payment method "
            "must be attached to the customer."
        )
        raise StripeError(message, code="resource_missing", param=where)
    customer["invoice_settings"]["default_payment_method"] = id


def set_default(context: Context, id: str, method: str) -> None:
    """Make a saved payment method the one that invoices are paid with."""
    update(context, {"invoice_settings": {"default_payment_method": method}}, id)


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
    _apply_default(context, customer, params)
    return events.save_and_tell(context, "customer.updated", customer, before)


def delete(context: Context, params: Json, id: str) -> Json:
    """Remove the customer with the cards saved to it; payments keep its id."""
    customer = context.need("customer", id)
    subscriptions.cancel_all_of(context, id)
    for method in payment_methods.of_customer(context, id):
        payment_methods.detach(context, method)
    context.tx.delete("customer", id)
    events.emit(context, "customer.deleted", customer)
    return {"id": id, "object": "customer", "deleted": True}


def list_methods(context: Context, params: Json, id: str) -> Json:
    """The customer's payment methods, newest first."""
    context.need("customer", id)
    filters = lists.Filter()
    filters.field("customer", id)
    for name in ("type", "allow_redisplay"):
        filters.field(name, params.get(name))
    url = f"/v1/customers/{id}/payment_methods"
    return lists.page(context, payment_methods.KIND, params, url, filters=filters)


def show_method(context: Context, params: Json, id: str, method_id: str) -> Json:
    """One of the customer's payment methods."""
    method = context.tx.get(payment_methods.KIND, method_id)
    if method is None or method["customer"] != id:
        raise missing(payment_methods.KIND, method_id, param="payment_method")
    return method


def _nothing(path: str) -> Resolver:
    """Lists that are always empty here: what they hold is not modelled."""
    return lambda context, obj, value: lists.envelope([], f"/v1/customers/{obj['id']}/{path}")


# Subscriptions add themselves to this table.
EXPANDABLE.setdefault("customer", {}).update(
    {
        "default_source": lambda context, obj, value: value,
        "invoice_settings.default_payment_method": ref("payment_method"),
        "sources": _nothing("sources"),
        "tax_ids": _nothing("tax_ids"),
        "invoice_credit_balance": lambda context, obj, value: {},
        "tax": lambda context, obj, value: {
            "automatic_tax": "unrecognized_location",
            "ip_address": None,
            "location": None,
            "provider": "stripe",
        },
    }
)

ROUTES = [
    Route("POST", "/v1/customers", create, CREATE),
    Route(
        "GET",
        "/v1/customers",
        lists.lister("customer", "/v1/customers", "email"),
        {**PAGING, **not_here("test_clock"), "email": text(512)},
    ),
    Route("GET", "/v1/customers/:id", retrieve),
    Route("POST", "/v1/customers/:id", update, WRITE),
    Route("DELETE", "/v1/customers/:id", delete),
    Route("GET", "/v1/customers/:id/payment_methods", list_methods, payment_methods.LIST),
    Route("GET", "/v1/customers/:id/payment_methods/:id", show_method),
]
