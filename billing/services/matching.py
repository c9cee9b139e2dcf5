"""Matching: what money that came was for."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import Customer
from billing.models import Order
from billing.services import orders
from billing.services.charges import Charge
from common.errors import NotFound


@dataclass(frozen=True, slots=True)
class Match:
    """The locked order the money closes, or why there is none; and who paid, if known."""

    payer: Customer | None
    order: Order | None = None
    reason: str = ""


def match(charge: Charge) -> Match:
    """Find the open order that this charge pays exactly.

    Subscriptions (renewals) and invoices are asked next when they exist. Whatever does not fit is
    for ``unapplied``; the reason is a sentence for customer and staff.
    """
    if charge.order_id is None:
        return Match(charge.customer, reason="It names no order.")
    try:
        order = orders.lock(charge.order_id)
    except NotFound:
        return Match(charge.customer, reason="It names an order that does not exist.")
    payer = charge.customer or order.customer
    if payer != order.customer:
        return Match(payer, reason="It was paid by another customer than the one who ordered.")
    if not order.is_open:
        return Match(payer, reason=f"The order was already {order.get_status_display()}.")
    if order.asset != charge.asset.code or order.rail != charge.rail:
        return Match(payer, reason="It came in another currency or way than ordered.")
    if order.subtotal_minor != charge.subtotal_minor:
        return Match(payer, reason="The amount differs from the order's.")
    if charge.amount_minor != charge.subtotal_minor - charge.discount_minor + charge.tax_minor:
        return Match(payer, reason="Its subtotal, discount and tax do not add up.")
    return Match(payer, order)
