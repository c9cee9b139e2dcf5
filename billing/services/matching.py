"""Matching: what money that came was for."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext_noop

from accounts.models import Customer
from billing.models import Order, OrderStatus
from billing.services import orders, products, renewals
from billing.services.charges import Charge, Term
from common.errors import NotFound

# Reasons are kept in English, and translated where they are shown.
DOES_NOT_ADD_UP = gettext_noop("Its subtotal, discount and tax do not add up.")
CLOSED: dict[str, str] = {
    OrderStatus.PAID: gettext_noop("The order was already paid."),
    OrderStatus.EXPIRED: gettext_noop("The order was already not paid in time."),
    OrderStatus.FAILED: gettext_noop("The order was already payment failed."),
    OrderStatus.CANCELLED: gettext_noop("The order was already refunded before delivery."),
}


@dataclass(frozen=True, slots=True)
class Match:
    """The locked order the money closes, or why there is none; and who paid, if known."""

    payer: Customer | None
    order: Order | None = None
    reason: str = ""


def match(charge: Charge) -> Match:
    """Find the open order that this charge pays exactly.

    One for a subscription closes the order of that stretch, which a renewal brings with it.
    Whatever does not fit is for ``unapplied``; the reason is a sentence for customer and staff.
    """
    if charge.term is not None:
        return _match_term(charge, charge.term)
    if charge.order_id is None:
        return Match(charge.customer, reason=gettext_noop("It names no order."))
    _wait_for_turn(charge.order_id)
    try:
        order = orders.lock(charge.order_id)
    except NotFound:
        return Match(charge.customer, reason=gettext_noop("It names an order that does not exist."))
    payer = charge.customer or order.customer
    if payer != order.customer:
        return Match(
            payer, reason=gettext_noop("It was paid by another customer than the one who ordered.")
        )
    if not order.is_open:
        return Match(payer, reason=CLOSED[order.status])
    if order.asset != charge.asset.code or order.rail != charge.rail:
        return Match(payer, reason=gettext_noop("It came in another currency or way than ordered."))
    if order.subtotal_minor != charge.subtotal_minor:
        return Match(payer, reason=gettext_noop("The amount differs from the order's."))
    if not _adds_up(charge):
        return Match(payer, reason=DOES_NOT_ADD_UP)
    outdated = products.why_undeliverable(order)
    return Match(payer, None if outdated else order, outdated)


def _wait_for_turn(order_id: UUID) -> None:
    """Lock the customer before the order, as all do who decide on a customer's subscriptions."""
    mine = Customer.objects.filter(orders=order_id)
    mine.select_for_update(no_key=True, of=("self",)).first()


def _match_term(charge: Charge, term: Term) -> Match:
    if not _adds_up(charge):
        return Match(charge.customer, reason=DOES_NOT_ADD_UP)
    order, reason = renewals.order_for(charge, term)
    payer = order.customer if order else charge.customer
    return Match(payer, order, reason)


def _adds_up(charge: Charge) -> bool:
    net_minor = charge.subtotal_minor - charge.discount_minor
    return charge.amount_minor == net_minor + charge.tax_minor + charge.owed_before_minor
