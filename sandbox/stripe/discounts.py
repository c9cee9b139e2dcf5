"""Discounts: a coupon in force on a subscription, with its beginning and its end."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.store import Json
from sandbox.stripe import events, ids, periods
from sandbox.stripe.context import Context, copied
from sandbox.stripe.errors import StripeError
from sandbox.stripe.expand import EXPANDABLE, ref
from sandbox.stripe.routes import Route

KIND = "discount"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a discount takes off: a percentage or an amount, of ``products`` (None: of all)."""

    percent_off: float | None
    amount_off: int | None
    products: list[str] | None
    duration: str


def terms_of(context: Context, coupon: Json) -> Terms:
    """What a coupon takes off today."""
    products = context.tx.private("coupon", coupon["id"]).get("products")
    return Terms(coupon["percent_off"], coupon["amount_off"], products, coupon["duration"])


def terms(context: Context, discount_id: str) -> Terms:
    """What a started discount takes off, whatever became of its coupon."""
    kept = context.tx.private(KIND, discount_id)
    return Terms(kept["percent_off"], kept["amount_off"], kept["products"], kept["duration"])


def start(
    context: Context,
    *,
    coupon: str,
    customer: str,
    subscription: str,
    promotion_code: str | None = None,
    checkout_session: str | None = None,
    id: str | None = None,
) -> Json:
    """Put a coupon in force on a subscription, and tell (``customer.discount.created``).

    A repeating coupon ends after its months, one of the duration ``once`` when ``finish`` is
    called after the first invoice. The coupon's use is counted by ``coupons.redeem``, not here.
    """
    found = context.need("coupon", coupon, param="discounts")
    discount = shape(
        id or ids.new("di"),
        coupon=coupon,
        customer=customer,
        promotion_code=promotion_code,
        start=context.now,
    )
    discount["checkout_session"] = checkout_session
    discount["subscription"] = subscription
    if found["duration"] == "repeating":
        discount["end"] = periods.later(context.now, months=found["duration_in_months"])
    taken = terms_of(context, found)
    private = {
        "percent_off": taken.percent_off,
        "amount_off": taken.amount_off,
        "products": taken.products,
        "duration": taken.duration,
    }
    context.tx.insert(discount, private, created=context.now)
    events.emit(context, "customer.discount.created", discount)
    return discount


def shape(
    id: str, *, coupon: str, customer: str | None, promotion_code: str | None, start: int
) -> Json:
    """A discount as the API shows it, on nothing yet."""
    return {
        "id": id,
        "object": KIND,
        "checkout_session": None,
        "customer": customer,
        "customer_account": None,
        "end": None,
        "invoice": None,
        "invoice_item": None,
        "promotion_code": promotion_code,
        "source": {"coupon": coupon, "type": "coupon"},
        "start": start,
        "subscription": None,
        "subscription_item": None,
    }


def in_force(discount: Json, at: int) -> bool:
    """Whether it still takes something off invoices of the moment ``at``."""
    return discount["end"] is None or at < discount["end"]


def finish(context: Context, id: str) -> Json:
    """Take a discount off its subscription and tell (``customer.discount.deleted``).

    Invoices keep naming it, so it can still be read by them. Ending it twice tells nobody.
    """
    gone = {**context.need(KIND, id), "deleted": True}
    private = context.tx.private(KIND, id)
    if not private.get("finished"):
        context.tx.save_private(KIND, id, {**private, "finished": True})
        events.emit(context, "customer.discount.deleted", gone)
    return gone


def delete_of_subscription(context: Context, params: Json, id: str) -> Json:
    """Take the discount off a subscription, for the invoices to come."""
    subscription = context.need("subscription", id)
    if not subscription["discounts"]:
        message = "The subscription does not have a discount to delete."
        raise StripeError(message, status=404, code="resource_missing")
    before = copied(subscription)
    gone = [finish(context, one) for one in subscription["discounts"]]
    subscription["discounts"] = []
    events.save_and_tell(context, "customer.subscription.updated", subscription, before)
    return gone[-1]


EXPANDABLE[KIND] = {
    "customer": ref("customer"),
    "promotion_code": ref("promotion_code"),
    "source.coupon": ref("coupon"),
}

ROUTES = [Route("DELETE", "/v1/subscriptions/:id/discount", delete_of_subscription)]
