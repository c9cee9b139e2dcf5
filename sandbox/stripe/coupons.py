"""Coupons and the promotion codes that customers type to get them."""

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
    currency,
    group,
    integer,
    merged,
    metadata,
    not_here,
    percentage,
    text,
)
from sandbox.stripe.routes import Route

COUPON_UPDATE: Fields = {
    **EXPAND,
    **not_here("currency_options"),
    "metadata": metadata,
    "name": clearable(text(40)),
}
COUPON_CREATE: Fields = {
    **COUPON_UPDATE,
    "amount_off": integer(1),
    "applies_to": group({"products": array(text())}),
    "currency": currency,
    "duration": text(one_of=("once", "repeating", "forever")),
    "duration_in_months": integer(1, 36),
    "id": text(200),
    "max_redemptions": integer(1),
    "percent_off": percentage,
    "redeem_by": integer(1),
}
RESTRICTIONS: Fields = {
    **not_here("currency_options"),
    "first_time_transaction": boolean,
    "minimum_amount": integer(1),
    "minimum_amount_currency": currency,
}
CODE_UPDATE: Fields = {
    **EXPAND,
    "active": boolean,
    "metadata": metadata,
    "restrictions": group(not_here("currency_options")),
}
CODE_CREATE: Fields = {
    **EXPAND,
    **not_here("customer_account"),
    "active": boolean,
    "code": text(500),
    "customer": text(),
    "expires_at": integer(1),
    "max_redemptions": integer(1),
    "metadata": metadata,
    "promotion": group(
        {"type": text(one_of=("coupon",)), "coupon": text()}, required=("type", "coupon")
    ),
    "restrictions": group(RESTRICTIONS),
}


def create_coupon(context: Context, params: Json) -> Json:
    """A new coupon: so many percent, or an amount in a currency."""
    if ("percent_off" in params) == ("amount_off" in params):
        raise bad_param("Pass either percent_off or amount_off.", "percent_off")
    if "amount_off" in params and "currency" not in params:
        message = "Missing required param: currency."
        raise bad_param(message, "currency", "parameter_missing")
    if (params.get("duration") == "repeating") != ("duration_in_months" in params):
        message = "duration_in_months goes with duration=repeating, and only with it."
        raise bad_param(message, "duration_in_months")
    id = params.get("id") or ids.token(8)
    if context.tx.rows("SELECT 1 FROM objects WHERE kind = 'coupon' AND id = ?", (id,)):
        message = "Coupon already exists."
        raise StripeError(message, code="resource_already_exists", param="id")
    coupon: Json = {
        "id": id,
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": context.now,
        "currency": params.get("currency") if "amount_off" in params else None,
        "duration": params.get("duration", "once"),
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merged({}, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": params.get("percent_off"),
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }
    applies_to = params.get("applies_to", {}).get("products")
    context.tx.insert(coupon, {"products": applies_to} if applies_to else {})
    events.emit(context, "coupon.created", coupon)
    return coupon


def update_coupon(context: Context, params: Json, id: str) -> Json:
    """Change name or metadata."""
    coupon = context.need("coupon", id)
    before = copied(coupon)
    coupon["name"] = params.get("name", coupon["name"])
    coupon["metadata"] = merged(coupon["metadata"], params.get("metadata"))
    return events.save_and_tell(context, "coupon.updated", coupon, before)


def delete_coupon(context: Context, params: Json, id: str) -> Json:
    """Remove the coupon; its codes no longer work."""
    coupon = context.need("coupon", id)
    context.tx.delete("coupon", id)
    events.emit(context, "coupon.deleted", coupon)
    return {"id": id, "object": "coupon", "deleted": True}


def create_code(context: Context, params: Json) -> Json:
    """A new promotion code; two active ones cannot read the same."""
    coupon = context.need("coupon", params["promotion"]["coupon"], param="promotion[coupon]")
    if "customer" in params:
        context.need("customer", params["customer"], param="customer")
    code = params.get("code") or ids.token(8).upper()
    if find_code(context, code) is not None:
        message = f"An active promotion code with `code: {code}` already exists."
        raise StripeError(message, code="resource_already_exists", param="code")
    restrictions = params.get("restrictions", {})
    promotion_code: Json = {
        "id": ids.new("promo"),
        "object": "promotion_code",
        "active": params.get("active", True),
        "code": code,
        "created": context.now,
        "customer": params.get("customer"),
        "customer_account": None,
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merged({}, params.get("metadata")),
        "promotion": {"coupon": coupon["id"], "type": "coupon"},
        "restrictions": {
            "first_time_transaction": restrictions.get("first_time_transaction", False),
            "minimum_amount": restrictions.get("minimum_amount"),
            "minimum_amount_currency": restrictions.get("minimum_amount_currency"),
        },
        "times_redeemed": 0,
    }
    context.tx.insert(promotion_code)
    events.emit(context, "promotion_code.created", promotion_code)
    return promotion_code


def update_code(context: Context, params: Json, id: str) -> Json:
    """Switch the code on or off, or change its metadata."""
    code = context.need("promotion_code", id)
    before = copied(code)
    code["active"] = params.get("active", code["active"])
    code["metadata"] = merged(code["metadata"], params.get("metadata"))
    return events.save_and_tell(context, "promotion_code.updated", code, before)


def find_code(context: Context, code: str) -> Json | None:
    """The active promotion code that reads so; letters' case does not matter."""
    same = "upper(json_extract(data, '$.code')) = upper(?) AND json_extract(data, '$.active')"
    found = context.tx.find("promotion_code", same, (code,))
    return found[0] if found else None


def redeem(context: Context, discount: Json) -> None:
    """Count one use of a session's discount; used-up coupons and codes stop being valid."""
    coupon = context.tx.get("coupon", discount["coupon"])
    if coupon is not None:
        before = copied(coupon)
        coupon["times_redeemed"] += 1
        limit = coupon["max_redemptions"]
        coupon["valid"] = limit is None or coupon["times_redeemed"] < limit
        events.save_and_tell(context, "coupon.updated", coupon, before)
    if discount["promotion_code"] is not None:
        code = context.need("promotion_code", discount["promotion_code"])
        before = copied(code)
        code["times_redeemed"] += 1
        limit = code["max_redemptions"]
        code["active"] = limit is None or code["times_redeemed"] < limit
        events.save_and_tell(context, "promotion_code.updated", code, before)


def list_codes(context: Context, params: Json) -> Json:
    """Promotion codes, newest first."""
    filters = lists.Filter()
    filters.field("active", int(params["active"]) if "active" in params else None)
    for name in ("code", "customer"):
        filters.field(name, params.get(name))
    filters.field("promotion.coupon", params.get("coupon"))
    return lists.page(context, "promotion_code", params, "/v1/promotion_codes", filters=filters)


def _applies_to(context: Context, coupon: Json, value: object) -> Json:
    return {"products": context.tx.private("coupon", coupon["id"]).get("products", [])}


EXPANDABLE["coupon"] = {
    "applies_to": _applies_to,
    "currency_options": lambda context, coupon, value: (
        {coupon["currency"]: {"amount_off": coupon["amount_off"]}} if coupon["amount_off"] else {}
    ),
}
EXPANDABLE["promotion_code"] = {"promotion.coupon": ref("coupon"), "customer": ref("customer")}

ROUTES = [
    Route("POST", "/v1/coupons", create_coupon, COUPON_CREATE),
    Route("GET", "/v1/coupons", lists.lister("coupon", "/v1/coupons"), PAGING),
    Route("GET", "/v1/coupons/:id", lists.retriever("coupon")),
    Route("POST", "/v1/coupons/:id", update_coupon, COUPON_UPDATE),
    Route("DELETE", "/v1/coupons/:id", delete_coupon),
    Route("POST", "/v1/promotion_codes", create_code, CODE_CREATE, ("promotion",)),
    Route(
        "GET",
        "/v1/promotion_codes",
        list_codes,
        {
            **PAGING,
            **not_here("customer_account"),
            "active": boolean,
            "code": text(),
            "coupon": text(),
            "customer": text(),
        },
    ),
    Route("GET", "/v1/promotion_codes/:id", lists.retriever("promotion_code")),
    Route("POST", "/v1/promotion_codes/:id", update_code, CODE_UPDATE),
]
