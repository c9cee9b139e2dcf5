"""Closing an order with the payment that covers it."""

from __future__ import annotations

from billing import ledger
from billing.models import Code, LedgerAccount, Order, Payment
from billing.services import fulfilment, invoice_drafts, orders, products


def close_with(
    payment: Payment, order: Order, *, source: LedgerAccount, discount_minor: int
) -> None:
    """Close a locked, open order: book the payment's net and tax out of ``source``, and deliver.

    Once per order, because only an open order is ever closed.
    """
    orders.close(
        order,
        discount_minor=discount_minor,
        tax_minor=payment.tax_minor,
        paid_at=payment.occurred_at,
    )
    key = f"payment:{payment.pk}"
    products.type_of(order).earn(order, source=source, key=key, at=payment.occurred_at)
    if payment.tax_minor:
        tax = ledger.system_account("tax", payment.unit)
        leg = ledger.Leg(source, tax, payment.tax_minor, Code.TAX, f"{key}:tax")
        ledger.post([leg], group=f"order:{order.pk}", occurred_at=payment.occurred_at)
    fulfilment.try_deliver(order)
    invoice_drafts.ring()
