"""What a session costs: its lines, its discount and its tax, as Stripe shows them."""

from __future__ import annotations

from sandbox.store import Json
from sandbox.stripe import amounts, coupons, discounts, ids
from sandbox.stripe.amounts import Line
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError

MINIMUM = {"usd": 50, "eur": 50, "gbp": 30, "chf": 50, "cad": 50, "aud": 50, "jpy": 50}


def compute(context: Context, session: Json, private: Json) -> list[Line]:
    """The amounts of each line, from prices, quantities, discount and tax; nothing in a trial."""
    if trial_days(private):
        return [Line(subtotal=0) for _ in private["lines"]]
    return _full(context, session, private, private["discount"], private["tax_minor"])


def renewal(context: Context, session: Json, private: Json) -> int:
    """What a subscription will cost when it renews; a code that works once no longer counts."""
    discount = private["discount"]
    if discount is not None and discount["duration"] == "once":
        discount = None
    return sum(line.total for line in _full(context, session, private, discount, None))


def trial_days(private: Json) -> int:
    """For how many days nothing is paid."""
    return int(private.get("subscription_data", {}).get("trial_period_days", 0))


def _full(
    context: Context, session: Json, private: Json, discount: Json | None, tax_minor: int | None
) -> list[Line]:
    products = None
    if discount is not None:
        products = context.tx.private("coupon", discount["coupon"]).get("products")
    lines = [
        Line(
            subtotal=item["unit_amount"] * item["quantity"],
            discountable=products is None or item["product"] in products,
        )
        for item in private["lines"]
    ]
    if discount is not None:
        amounts.apply_discount(
            lines, percent_off=discount["percent_off"], amount_off=discount["amount_off"]
        )
    rate_bps = int(context.setting("tax_bps")) if session["automatic_tax"]["enabled"] else 0
    amounts.apply_tax(lines, rate_bps=rate_bps, exact_minor=tax_minor)
    return lines


def reprice(context: Context, session: Json, private: Json) -> None:
    """Write the session's totals anew; the caller saves it. A mere setup has no totals."""
    if session["mode"] == "setup":
        return
    lines = compute(context, session, private)
    session["amount_subtotal"] = sum(line.subtotal for line in lines)
    session["amount_total"] = sum(line.total for line in lines)
    session["total_details"] = {
        "amount_discount": sum(line.discount for line in lines),
        "amount_shipping": 0,
        "amount_tax": sum(line.tax for line in lines),
    }
    discount = private["discount"]
    session["discounts"] = []
    if discount is not None:
        by_code = discount["promotion_code"] is not None
        shown = {"coupon": None, "promotion_code": discount["promotion_code"]}
        session["discounts"] = [shown if by_code else {**shown, "coupon": discount["coupon"]}]


def require_minimum(session: Json) -> None:
    """Raises StripeError if something is to be paid, but too little to charge a card with."""
    least = MINIMUM.get(session["currency"], 1)
    if 0 < session["amount_total"] < least:
        raise StripeError(
            "The Checkout Session's total amount due must add up to at least "
            f"{amounts.display(least, session['currency'])}.",
            code="amount_too_small",
            param="line_items",
        )


def discount_from(context: Context, session: Json, coupon: Json, code: Json | None = None) -> Json:
    """The session's discount by this coupon. Raises StripeError saying why it cannot be used."""
    refusal = _why_not(context, session, coupon, code)
    if refusal is not None:
        param = "discounts[0][promotion_code]" if code else "discounts[0][coupon]"
        raise StripeError(refusal, param=param)
    return {
        "id": ids.new("di"),
        "coupon": coupon["id"],
        "promotion_code": code["id"] if code else None,
        "percent_off": coupon["percent_off"],
        "amount_off": coupon["amount_off"],
        "duration": coupon["duration"],
        "duration_in_months": coupon["duration_in_months"],
        "start": context.now,
    }


def discount_by_code(context: Context, session: Json, typed: str) -> Json:
    """The discount for a code that a customer typed. Raises StripeError saying why not."""
    code = coupons.find_code(context, typed.strip())
    coupon = code and context.tx.get("coupon", code["promotion"]["coupon"])
    if code is None or coupon is None:
        raise StripeError("This promotion code is invalid.", param="promotion_code")
    return discount_from(context, session, coupon, code)


def _why_not(context: Context, session: Json, coupon: Json, code: Json | None) -> str | None:
    if not coupon["valid"] or _is_past(context, coupon["redeem_by"]):
        return f"Coupon expired: {coupon['id']}"
    if coupon["currency"] not in (None, session["currency"]):
        return "This coupon is for another currency."
    if code is None:
        return None
    if not code["active"] or _is_past(context, code["expires_at"]):
        return "This promotion code has expired."
    if code["customer"] not in (None, session["customer"]):
        return "This promotion code is invalid."
    return _restricted(context, session, code["restrictions"])


def _restricted(context: Context, session: Json, restrictions: Json) -> str | None:
    least = restrictions["minimum_amount"]
    if least is not None and (
        restrictions["minimum_amount_currency"] != session["currency"]
        or (session["amount_subtotal"] or 0) < least
    ):
        return "This order does not reach the promotion code's minimum amount."
    if restrictions["first_time_transaction"] and session["customer"] is not None:
        paid = "json_extract(data, '$.customer') = ? AND json_extract(data, '$.paid')"
        if context.tx.find("charge", paid, (session["customer"],)):
            return "This promotion code is for first-time customers only."
    return None


def _is_past(context: Context, moment: int | None) -> bool:
    return moment is not None and moment <= context.now


def line_items(context: Context, session: Json) -> list[Json]:
    """The session's lines as the API shows them."""
    private = context.tx.private("checkout.session", session["id"])
    lines = compute(context, session, private)
    return [
        {
            "id": item["id"],
            "object": "item",
            "adjustable_quantity": item["adjustable_quantity"],
            "amount_discount": line.discount,
            "amount_subtotal": line.subtotal,
            "amount_tax": line.tax,
            "amount_total": line.total,
            "currency": session["currency"],
            "description": item["description"],
            "metadata": item["metadata"],
            "price": context.tx.get("price", item["price"]),
            "quantity": item["quantity"],
        }
        for item, line in zip(private["lines"], lines, strict=True)
    ]


def discount_shown(context: Context, session: Json, amount: int) -> list[Json]:
    """The session's discount with how much it took off here; none if it took nothing."""
    discount = context.tx.private("checkout.session", session["id"])["discount"]
    if discount is None or not amount:
        return []
    shown = discounts.shape(
        discount["id"],
        coupon=discount["coupon"],
        customer=session["customer"],
        promotion_code=discount["promotion_code"],
        start=discount["start"],
    )
    shown["checkout_session"] = session["id"]
    return [{"amount": amount, "discount": shown}]


def taxes_shown(context: Context, session: Json, amount: int, taxable: int) -> list[Json]:
    """The sandbox's one tax, with how much of it falls here."""
    if not amount:
        return []
    percentage = round(100 * amount / taxable, 4) if taxable else 0
    rate: Json = {
        "id": "txr_1SandboxFlatRate0000000",
        "object": "tax_rate",
        "active": False,
        "country": None,
        "created": session["created"],
        "description": "One flat rate; the sandbox knows no tax law",
        "display_name": "Sandbox tax",
        "effective_percentage": percentage,
        "flat_amount": None,
        "inclusive": False,
        "jurisdiction": None,
        "jurisdiction_level": None,
        "livemode": False,
        "metadata": {},
        "percentage": percentage,
        "rate_type": "percentage",
        "state": None,
        "tax_type": "sales_tax",
    }
    reason = "standard_rated"
    return [
        {"amount": amount, "rate": rate, "taxability_reason": reason, "taxable_amount": taxable}
    ]
