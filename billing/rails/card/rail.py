"""The card rail: Stripe Checkout, webhooks, refunds and its books."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from accounts.models import Customer
from billing.models import InboundEvent, Order, Refund
from billing.money import USD
from billing.rails.card import (
    catalogue_sync,
    checkout,
    customers,
    mirror,
    objects,
    reconcile,
    refunds,
)
from billing.rails.card.handlers import HANDLERS
from billing.services.rails import Finding, Handler, PayPage, Rail, RefundAnswer


class CardRail(Rail):
    """Cards and what else Stripe Checkout offers, in dollars."""

    name = "card"
    title = "Card"
    assets = (USD,)
    knows_customers = True

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return HANDLERS

    def open_pay_page(self, order: Order) -> PayPage:
        return checkout.open_page(order)

    def send_refund(self, refund: Refund) -> RefundAnswer:
        return refunds.send(refund)

    def find_refund(self, refund: Refund) -> RefundAnswer | None:
        return refunds.find(refund)

    def mirror(self, event: InboundEvent) -> None:
        mirror.take(event)

    def ensure_customer(self, customer: Customer) -> None:
        customers.ensure(customer)

    def refresh(self, order: Order) -> None:
        if order.external_id:
            checkout.settle(objects.checkout_session(order.external_id))

    def reconcile(self, since: datetime) -> list[Finding]:
        return reconcile.run(since)

    def sync_catalogue(self) -> list[str]:
        return catalogue_sync.sync()
