"""The card rail: Stripe Checkout, webhooks, refunds and its books."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import Customer
from billing.models import InboundEvent, Order, Refund, Subscription
from billing.money import USD
from billing.plans import Offer
from billing.rails.card import (
    catalogue_sync,
    changes,
    checkout,
    customers,
    mirror,
    objects,
    off_session,
    reconcile,
    reconcile_balance,
    refunds,
    self_service,
    subscriptions,
)
from billing.rails.card.handlers import HANDLERS
from billing.services.charging import ChargeAnswer, ChargingRail
from billing.services.rails import Finding, Handler, PayPage, RefundAnswer, Repair, Tell
from billing.services.renewing import ChangeCost, RenewingRail


class CardRail(RenewingRail, ChargingRail):
    """Cards and what else Stripe Checkout offers, in dollars."""

    name = "card"
    title = gettext_lazy("Card")
    assets = (USD,)
    knows_customers = True

    @property
    def computes_tax(self) -> bool:
        enabled: bool = settings.STRIPE_AUTOMATIC_TAX
        return enabled

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

    @property
    def why_not_charging(self) -> str:
        if settings.STRIPE_AUTOMATIC_TAX:
            return _("Tax is worked out at checkout; no saved card is charged without it.")
        return ""

    def saved_card(self, customer: Customer) -> str | None:
        return off_session.saved_card(customer)

    def open_saving_page(
        self, customer: Customer, *, reference: str, done_url: str, back_url: str
    ) -> str:
        return off_session.open_saving_page(
            customer, reference=reference, done_url=done_url, back_url=back_url
        )

    def finish_saving(self, customer: Customer, page_id: str) -> None:
        off_session.finish_saving(customer, page_id)

    def charge_saved(self, order: Order) -> ChargeAnswer:
        return off_session.charge(order)

    def find_charge(self, order: Order, since: datetime) -> ChargeAnswer | None:
        return off_session.find(order, since)

    def refresh_subscription(self, subscription: Subscription) -> None:
        subscriptions.sync(subscription.external_id)

    def catch_up(self, subscription: Subscription) -> None:
        subscriptions.catch_up(subscription.external_id)

    def cost_of_change(self, subscription: Subscription, offer: Offer, at: datetime) -> ChangeCost:
        return changes.cost(subscription, offer, at)

    def change_now(
        self, subscription: Subscription, offer: Offer, at: datetime, order: Order | None
    ) -> None:
        changes.change_now(subscription, offer, at, order)
        self.refresh_subscription(subscription)

    def change_at_period_end(self, subscription: Subscription, offer: Offer) -> None:
        changes.change_at_period_end(subscription, offer)
        self.refresh_subscription(subscription)

    def keep_plan(self, subscription: Subscription) -> None:
        changes.keep_plan(subscription)
        self.refresh_subscription(subscription)

    def cancel_at_period_end(self, subscription: Subscription) -> None:
        changes.set_cancel(subscription, at_period_end=True)
        self.refresh_subscription(subscription)

    def resume(self, subscription: Subscription) -> None:
        changes.set_cancel(subscription, at_period_end=False)
        self.refresh_subscription(subscription)

    def stop(self, subscription: Subscription) -> None:
        changes.stop(subscription)

    def self_service_url(self, customer: Customer, return_url: str) -> str:
        return self_service.url(customer, return_url)

    def reconcile(self, since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
        return reconcile.find(since, until, tell)

    def compare_balance(self) -> Finding | None:
        return reconcile_balance.find()

    def look_again(self, kind: str, subject: str) -> Repair | None:
        return reconcile.look_again(kind, subject)

    def sync_catalogue(self) -> list[str]:
        return [*catalogue_sync.sync(), *self_service.sync()]
