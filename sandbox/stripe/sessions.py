"""Checkout Sessions in payment mode: made by the API, paid on the hosted page."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json
from sandbox.stripe import events, ids, lists, payment_intents, prices, pricing, session_params
from sandbox.stripe.context import Context
from sandbox.stripe.customers import full_address
from sandbox.stripe.errors import StripeError, bad_param, not_modelled
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import PAGING, group, merged, not_here, require, text
from sandbox.stripe.routes import Route

KIND = "checkout.session"
MIN_LIFE_SECONDS = 30 * 60
MAX_LIFE_SECONDS = 24 * 3600


def create(context: Context, params: Json) -> Json:
    """A new open session with its page."""
    _check(context, params)
    lines = [_line(context, sent, place) for place, sent in enumerate(params["line_items"])]
    currencies = {line.pop("currency") for line in lines}
    if len(currencies) != 1 or params.get("currency", *currencies) not in currencies:
        raise StripeError("All line items must be in one currency.", param="line_items")
    session = _build(context, params, currency=currencies.pop())
    private: Json = {
        "lines": lines,
        "discount": None,
        "tax_minor": None,
        "payment_intent": None,
        "payment_intent_data": params.get("payment_intent_data", {}),
        "customer_creation": params.get("customer_creation"),
    }
    session["amount_subtotal"] = sum(line["unit_amount"] * line["quantity"] for line in lines)
    private["discount"] = _discount(context, session, params)
    pricing.reprice(context, session, private)
    pricing.require_minimum(session)
    context.tx.insert(session, private)
    for line in lines:
        item = {"id": line["id"], "object": "item", "created": context.now}
        context.tx.insert(item, {"session": session["id"]})
    return session


def _check(context: Context, params: Json) -> None:
    if params["mode"] != "payment":
        raise not_modelled("mode")
    require(params, ("line_items", "success_url"))
    if not params["line_items"]:
        raise bad_param("Missing required param: line_items.", "line_items", "parameter_missing")
    if "customer" in params and "customer_email" in params:
        message = "You may only specify one of these parameters: customer, customer_email."
        raise bad_param(message, "customer")
    if params.get("allow_promotion_codes") and params.get("discounts"):
        message = "You may only specify one of these parameters: allow_promotion_codes, discounts."
        raise bad_param(message, "allow_promotion_codes")
    expires_at = params.get("expires_at")
    if expires_at is not None and not (
        MIN_LIFE_SECONDS - 60 <= expires_at - context.now <= MAX_LIFE_SECONDS
    ):
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from now."
        raise bad_param(message, "expires_at")
    _check_customer(context, params)


def _check_customer(context: Context, params: Json) -> None:
    updates = params.get("customer_update", {})
    if "customer" not in params:
        if updates:
            message = "`customer_update` can only be used with `customer`."
            raise bad_param(message, "customer_update")
        return
    if params.get("customer_creation"):
        message = "`customer_creation` cannot be used with `customer`."
        raise bad_param(message, "customer_creation")
    customer = context.need("customer", params["customer"], param="customer")
    taxed = params.get("automatic_tax", {}).get("enabled")
    if taxed and customer["address"] is None and updates.get("address") != "auto":
        raise StripeError(
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a "
            "valid address to the Customer or set `customer_update[address]` to 'auto' to save the "
            "address entered in Checkout to the Customer.",
            code="customer_tax_location_invalid",
        )


def _line(context: Context, sent: Json, place: int) -> Json:
    path = f"line_items[{place}]"
    if ("price" in sent) == ("price_data" in sent):
        raise bad_param(f"Pass either {path}[price] or {path}[price_data].", f"{path}[price]")
    if "price" in sent:
        price = context.need("price", sent["price"], param=f"{path}[price]")
        if not price["active"]:
            raise StripeError(f"The price {price['id']} is inactive.", param=f"{path}[price]")
    else:
        price = prices.inline(context, sent["price_data"], f"{path}[price_data]")
    if price["recurring"] is not None:
        message = "You specified `payment` mode but passed a recurring price."
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
    }


def _adjustable(sent: Json | None) -> Json | None:
    if sent is None or not sent["enabled"]:
        return None
    return {
        "enabled": True,
        "maximum": sent.get("maximum", 99),
        "minimum": sent.get("minimum", 0),
    }


def _discount(context: Context, session: Json, params: Json) -> Json | None:
    for sent in params.get("discounts", []):
        if "promotion_code" in sent:
            where = "discounts[0][promotion_code]"
            code = context.need("promotion_code", sent["promotion_code"], param=where)
            coupon = context.need("coupon", code["promotion"]["coupon"], param=where)
            return pricing.discount_from(context, session, coupon, code)
        require(sent, ("coupon",), "discounts[0]")
        coupon = context.need("coupon", sent["coupon"], param="discounts[0][coupon]")
        return pricing.discount_from(context, session, coupon)
    return None


def _build(context: Context, params: Json, *, currency: str) -> Json:
    id = ids.session()
    taxed = params.get("automatic_tax", {}).get("enabled", False)
    return {
        **_NOT_MODELLED,
        "id": id,
        "object": KIND,
        "allow_promotion_codes": params.get("allow_promotion_codes"),
        "amount_subtotal": None,
        "amount_total": None,
        "automatic_tax": _automatic_tax(taxed=taxed),
        "billing_address_collection": params.get("billing_address_collection"),
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "created": context.now,
        "currency": currency,
        "customer": params.get("customer"),
        "customer_creation": _creation(params),
        "customer_details": _first_details(context, params),
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": params.get("expires_at", context.now + MAX_LIFE_SECONDS),
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": merged({}, params.get("metadata")),
        "mode": "payment",
        "origin_context": params.get("origin_context"),
        "payment_intent": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": params.get("payment_method_types") or ["card", "us_bank_account"],
        "payment_status": "unpaid",
        "status": "open",
        "submit_type": params.get("submit_type"),
        "success_url": params["success_url"],
        "total_details": None,
        "ui_mode": "hosted_page",
        "url": f"{context.config.public_url}/c/pay/{id}",
    }


def _automatic_tax(*, taxed: bool) -> Json:
    return {
        "enabled": taxed,
        "liability": {"type": "self"} if taxed else None,
        "provider": "stripe" if taxed else None,
        "status": "requires_location_inputs" if taxed else None,
    }


_NOT_MODELLED: Json = {
    "adaptive_pricing": {"enabled": False},
    "after_expiration": None,
    "client_secret": None,
    "collected_information": None,
    "consent": None,
    "consent_collection": None,
    "currency_conversion": None,
    "custom_fields": [],
    "custom_text": {
        "after_submit": None,
        "shipping_address": None,
        "submit": None,
        "terms_of_service_acceptance": None,
    },
    "customer_account": None,
    "integration_identifier": None,
    "invoice": None,
    "invoice_creation": {
        "enabled": False,
        "invoice_data": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": None,
            "metadata": {},
            "rendering_options": None,
        },
    },
    "managed_payments": {"enabled": False},
    "payment_link": None,
    "payment_method_collection": "if_required",
    "payment_method_configuration_details": None,
    "permissions": None,
    "phone_number_collection": {"enabled": False},
    "recovered_from": None,
    "saved_payment_method_options": None,
    "setup_intent": None,
    "shipping_address_collection": None,
    "shipping_cost": None,
    "shipping_options": [],
    "subscription": None,
    "wallet_options": None,
}


def _creation(params: Json) -> str | None:
    """Whether paying makes a customer; moot when there is one."""
    if "customer" in params:
        return None
    return str(params.get("customer_creation", "if_required"))


def _first_details(context: Context, params: Json) -> Json | None:
    customer = context.tx.get("customer", params.get("customer", ""))
    if customer is not None:
        return details(customer["email"], customer["name"], customer["address"])
    return details(params["customer_email"]) if "customer_email" in params else None


def details(email: str | None, name: str | None = None, address: Json | None = None) -> Json:
    """The session's ``customer_details``."""
    return {
        "address": full_address(address),
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def update(context: Context, params: Json, id: str) -> Json:
    """Change the metadata."""
    session = context.need(KIND, id)
    session["metadata"] = merged(session["metadata"], params.get("metadata"))
    context.tx.save(session)
    return session


def expire_now(context: Context, params: Json, id: str) -> Json:
    """Close an open session early."""
    session = context.need(KIND, id)
    if session["status"] != "open":
        message = (
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout '
            f"Session has a status of {session['status']}."
        )
        raise StripeError(message)
    return expire(context, session)


def expire(context: Context, session: Json) -> Json:
    """End an open session unpaid; a payment it had begun is called off."""
    intent_id = context.tx.private(KIND, session["id"])["payment_intent"]
    if intent_id is not None:
        payment_intents.cancel(context, context.need("payment_intent", intent_id), reason="expired")
    session["status"] = "expired"
    session["url"] = None
    context.tx.save(session)
    events.emit(context, "checkout.session.expired", session)
    return session


def overdue(context: Context) -> list[Json]:
    """Open sessions whose time is over."""
    open_and_past = (
        "json_extract(data, '$.status') = 'open' AND json_extract(data, '$.expires_at') <= ?"
    )
    return context.tx.find(KIND, open_and_past, (context.now,))


def listing(context: Context, params: Json) -> Json:
    """Sessions, newest first."""
    filters = lists.Filter()
    for name in ("customer", "payment_intent", "status"):
        filters.field(name, params.get(name))
    filters.field("customer_details.email", params.get("customer_details", {}).get("email"))
    return lists.page(context, KIND, params, "/v1/checkout/sessions", filters=filters)


def list_lines(context: Context, params: Json, id: str) -> Json:
    """The session's lines."""
    session = context.need(KIND, id)
    url = f"/v1/checkout/sessions/{id}/line_items"
    return lists.page_of(pricing.line_items(context, session), params, url)


def _line_discounts(context: Context, item: Json, value: Any) -> list[Json]:
    return pricing.discount_shown(context, _session_of(context, item), item["amount_discount"])


def _line_taxes(context: Context, item: Json, value: Any) -> list[Json]:
    taxable = item["amount_subtotal"] - item["amount_discount"]
    return pricing.taxes_shown(context, _session_of(context, item), item["amount_tax"], taxable)


def _session_of(context: Context, item: Json) -> Json:
    return context.need(KIND, context.tx.private("item", item["id"])["session"])


def _breakdown(context: Context, session: Json, value: Any) -> Json:
    totals = session["total_details"]
    taxable = session["amount_subtotal"] - totals["amount_discount"]
    return {
        "discounts": pricing.discount_shown(context, session, totals["amount_discount"]),
        "taxes": pricing.taxes_shown(context, session, totals["amount_tax"], taxable),
    }


EXPANDABLE[KIND] = {
    "customer": ref("customer"),
    "discounts.coupon": ref("coupon"),
    "discounts.promotion_code": ref("promotion_code"),
    "invoice": lambda context, session, value: value,
    "line_items": lambda context, session, value: list_lines(context, {}, session["id"]),
    "payment_intent": ref("payment_intent"),
    "payment_link": lambda context, session, value: value,
    "setup_intent": lambda context, session, value: value,
    "subscription": lambda context, session, value: value,
    "total_details.breakdown": _breakdown,
}
EXPANDABLE["item"] = {"discounts": _line_discounts, "taxes": _line_taxes}

BASE = "/v1/checkout/sessions"
LIST = {
    **PAGING,
    **not_here("customer_account payment_link subscription"),
    "customer": text(),
    "customer_details": group({"email": text()}),
    "payment_intent": text(),
    "status": text(one_of=("complete", "expired", "open")),
}

ROUTES = [
    Route("POST", BASE, create, session_params.CREATE, ("mode",)),
    Route("GET", BASE, listing, LIST),
    Route("GET", f"{BASE}/:id", lists.retriever(KIND)),
    Route("POST", f"{BASE}/:id", update, session_params.UPDATE),
    Route("POST", f"{BASE}/:id/expire", expire_now),
    Route("GET", f"{BASE}/:id/line_items", list_lines, PAGING),
]
