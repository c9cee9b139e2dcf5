"""Paid orders that cannot be delivered, when their money goes back: they leave delivery."""

from __future__ import annotations

from billing.errors import NotRefundable
from billing.models import OrderStatus, Payment
from billing.services import fulfilment, orders


def is_undelivered(payment: Payment) -> bool:
    """Whether its order is paid and, tried once more, still cannot be delivered."""
    if payment.order is None or payment.order.delivered_at is not None:
        return False
    order = orders.lock(payment.order.pk)
    payment.order = order
    return order.status == OrderStatus.CANCELLED or not fulfilment.try_deliver(order)


def cancel(payment: Payment, amount_minor: int) -> None:
    """Take the order out of delivery. What never was delivered goes back whole, or not at all."""
    if payment.order is None or amount_minor != payment.amount_minor:
        raise NotRefundable("An order that could not be delivered is refunded whole.")
    payment.order.status = OrderStatus.CANCELLED
    payment.order.save(update_fields=["status"])


def resume(payment: Payment) -> None:
    """The money did not go back after all: delivery is due again, and the sweeper tries."""
    if payment.order is not None and payment.order.status == OrderStatus.CANCELLED:
        payment.order.status = OrderStatus.PAID
        payment.order.save(update_fields=["status"])
