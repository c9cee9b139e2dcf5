"""Paying an order from the customer's own credits: one debit, and the order is settled with it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Customer
from billing import ledger, selectors
from billing.errors import SpendCapReached
from billing.models import Code, Order, OrderStatus, Payment
from billing.money import CREDIT, Money
from billing.services import (
    auto_top_ups,
    orders,
    payments,
    products,
    spend_caps,
    subscriptions,
)
from billing.services.charges import Charge
from billing.services.rehearsals import rehearse
from common import clock
from common.errors import BillingError, Conflict, NotFound

RAIL = "wallet"


class OrderClosed(Conflict):
    """The order was paid another way, or cannot be paid any more."""

    code = "order_closed"
    message = gettext_lazy("This order cannot be paid any more.")


class PaidOtherwise(Conflict):
    """The order was opened for another way to pay."""

    code = "paid_otherwise"
    message = gettext_lazy("This order is not paid from credits.")


@dataclass(frozen=True, slots=True)
class Bill:
    """What paying an order from credits would do, and why it cannot be done now, if it cannot."""

    order: Order
    balance: Money
    refusal: BillingError | None

    @property
    def after(self) -> Money:
        """What could be spent afterwards."""
        return self.balance - self.order.total

    @property
    def missing(self) -> Money:
        """How many credits there are too few; nothing when there are enough."""
        return Money(max(-self.after.amount_minor, 0), CREDIT)


def spend_key(order_id: UUID | str) -> str:
    """The ledger key of the one debit that pays an order."""
    return f"order:{order_id}:wallet"


def bill(customer: Customer, order_id: UUID) -> Bill:
    """What this order of the customer's would cost, and whether it can be paid now; moves nothing.

    Raises NotFound for anybody else's order, PaidOtherwise.
    """
    order = _find(customer, order_id)
    try:
        rehearse(lambda: _take(order))
        refusal = None
    except BillingError as error:
        refusal = error
    return Bill(order, selectors.credit_balance(customer), refusal)


def pay(customer: Customer, order_id: UUID) -> Payment:
    """Take the price from the wallet and settle the order, once per order however often asked.

    Raises NotFound, PaidOtherwise, OrderClosed, what the product says against it, and like a
    spend InsufficientFunds, InDebt and SpendCapReached. Then nothing has moved.
    """
    try:
        return _pay(customer, order_id)
    except SpendCapReached as refusal:
        spend_caps.was_refused(customer, refusal)
        raise


@transaction.atomic
def _pay(customer: Customer, order_id: UUID) -> Payment:
    subscriptions.wait_for_turn(customer)
    order = _find(customer, order_id)
    paid = Payment.objects.filter(rail=RAIL, external_id=str(order.pk)).first()
    if paid is not None:
        return paid
    order = orders.lock(order.pk)
    _take(order)
    payment = payments.settle(
        Charge(
            rail=RAIL,
            external_id=str(order.pk),
            asset=CREDIT,
            amount_minor=order.subtotal_minor,
            subtotal_minor=order.subtotal_minor,
            discount_minor=0,
            tax_minor=0,
            occurred_at=clock.now(),
            customer=order.customer,
            order_id=order.pk,
        )
    )
    if payment.order_id is None:  # its price goes back with this transaction
        raise OrderClosed(_(payment.unapplied_reason))
    auto_top_ups.ring_if_low(customer)
    return payment


def lapse_if_overdue(order: Order) -> Order:
    """Close an open order whose time to be paid is over; any other stays what it is."""
    return orders.lapse(order.pk, OrderStatus.EXPIRED) if orders.is_overdue(order) else order


def _find(customer: Customer, order_id: UUID) -> Order:
    found = Order.objects.select_related("customer").filter(customer=customer, pk=order_id).first()
    if found is None:
        raise NotFound(_("There is no such order."))
    if found.rail != RAIL:
        raise PaidOtherwise
    return found


def _take(order: Order) -> None:
    if not order.is_open:
        closed = _("This order is closed: %(status)s.")
        raise OrderClosed(closed % {"status": order.get_status_display()})
    if orders.is_overdue(order):
        raise OrderClosed(_("This order was not paid in time. Please order again."))
    products.refuse_if_unwanted(order)
    ledger.spend(
        ledger.wallet(order.customer, CREDIT),
        order.subtotal_minor,
        code=Code.ORDER,
        key=spend_key(order.pk),
        group=f"order:{order.pk}",
        occurred_at=clock.now(),
        target=f"clearing:{RAIL}",
    )
