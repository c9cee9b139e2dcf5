"""Checkout Sessions: made by the API, completed on the hosted page."""

from __future__ import annotations

from typing import Any

from sandbox.store import Json
from sandbox.stripe import (
    events,
    lists,
    payment_intents,
    pricing,
    session_checks,
    session_lines,
    session_params,
    session_shape,
    setup_intents,
)
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.params import PAGING, group, merged, not_here, require, text
from sandbox.stripe.routes import Route

KIND = session_shape.KIND


def create(context: Context, params: Json) -> Json:
    """A new open session with its page."""
    session_checks.check(context, params)
    private: Json = {
        "lines": [],
        "discount": None,
        "tax_minor": None,
        "payment_intent": None,
        "setup_intent": None,
        "payment_intent_data": params.get("payment_intent_data", {}),
        "subscription_data": params.get("subscription_data", {}),
    }
    if params["mode"] == "setup":
        session = session_shape.build(context, params, currency=params.get("currency"))
        _begin_setup(context, session, private, params.get("setup_intent_data", {}))
    else:
        private["lines"], currency = session_lines.build(context, params)
        session = session_shape.build(context, params, currency=currency)
        _price(context, session, private, params)
    context.tx.insert(session, private)
    for line in private["lines"]:
        item = {"id": line["id"], "object": "item", "created": context.now}
        context.tx.insert(item, {"session": session["id"]})
    return session


def _price(context: Context, session: Json, private: Json, params: Json) -> None:
    """The first totals, with the discount that the session was sent."""
    lines = private["lines"]
    session["amount_subtotal"] = sum(line["unit_amount"] * line["quantity"] for line in lines)
    private["discount"] = _discount(context, session, params)
    pricing.reprice(context, session, private)
    pricing.require_minimum(session)


def _begin_setup(context: Context, session: Json, private: Json, data: Json) -> None:
    """A session that only saves a card has its SetupIntent from the start."""
    intent = setup_intents.build(context, customer=session["customer"], data=data)
    private["setup_intent"] = session["setup_intent"] = intent["id"]


def wants_card(session: Json) -> bool:
    """Whether a card is asked for although there is nothing to pay now."""
    collected: bool = session["payment_method_collection"] == "always"
    return collected and session["mode"] != "payment"


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
    private = context.tx.private(KIND, session["id"])
    if private["payment_intent"] is not None:
        begun = context.need("payment_intent", private["payment_intent"])
        payment_intents.cancel(context, begun, reason="expired")
    if private["setup_intent"] is not None:
        setup_intents.end(context, context.need(setup_intents.KIND, private["setup_intent"]))
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
    for name in ("customer", "payment_intent", "status", "subscription"):
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
    "invoice": ref("invoice"),
    "line_items": lambda context, session, value: list_lines(context, {}, session["id"]),
    "payment_intent": ref("payment_intent"),
    "payment_link": lambda context, session, value: value,
    "setup_intent": ref("setup_intent"),
    "subscription": ref("subscription"),
    "total_details.breakdown": _breakdown,
}
EXPANDABLE["item"] = {"discounts": _line_discounts, "taxes": _line_taxes}

BASE = "/v1/checkout/sessions"
LIST = {
    **PAGING,
    **not_here("customer_account payment_link"),
    "customer": text(),
    "customer_details": group({"email": text()}),
    "payment_intent": text(),
    "status": text(one_of=("complete", "expired", "open")),
    "subscription": text(),
}

ROUTES = [
    Route("POST", BASE, create, session_params.CREATE, ("mode",)),
    Route("GET", BASE, listing, LIST),
    Route("GET", f"{BASE}/:id", lists.retriever(KIND)),
    Route("POST", f"{BASE}/:id", update, session_params.UPDATE),
    Route("POST", f"{BASE}/:id/expire", expire_now),
    Route("GET", f"{BASE}/:id/line_items", list_lines, PAGING),
]
