"""Checkout pages for orders, and what a session says once it is complete."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

import stripe
from django.conf import settings
from django.urls import reverse

from billing.models import Order, OrderStatus, Payment
from billing.money import asset
from billing.rails.card import catalogue_sync, customers, fees, objects, off_session, subscriptions
from billing.rails.card.client import reachable
from billing.services import orders, payments
from billing.services.charges import Charge
from billing.services.rails import PayPage
from common.errors import NotFound

logger = logging.getLogger(__name__)


def open_page(order: Order) -> PayPage:
    """A Checkout Session for an order, once per order. Raises RailUnavailable."""
    customer_id = customers.ensure(order.customer)
    product_id = catalogue_sync.ensure_product(
        order.product_kind, order.product_slug, order.product_name
    )
    # Nothing that changes from call to call: a repeat under the same key must be the same call.
    with reachable():
        session = stripe.checkout.Session.create(
            **_parameters(order, product_id),
            customer=customer_id,
            idempotency_key=order.provider_key,
        )
    return PayPage(session.id, session.url or "", objects.moment(session.expires_at))


def settle(session: objects.Object) -> None:
    """Bring our order to what a session says today; repeating it changes nothing.

    One for a subscription settles by its invoice. An unpaid complete session is a debit that is
    still on its way: nothing is delivered before the money is there.
    """
    if session["status"] == "expired":
        _lapse(session, OrderStatus.EXPIRED)
    elif session["mode"] == "subscription":
        _settle_subscription(session)
    elif session["mode"] == "setup":
        off_session.take(session)
    elif session["payment_status"] == "paid":
        payment = payments.settle(_charge(session, order_id(session)))
        fees.book(payment.pk, session["payment_intent"].get("latest_charge"))
    elif is_free(session):
        _complete_free(session)


def _settle_subscription(session: objects.Object) -> None:
    subscription_id = objects.id_of(session["subscription"])
    if session["status"] == "complete" and subscription_id is not None:
        subscriptions.sync(subscription_id, invoice_id=objects.id_of(session["invoice"]))


def fail(session: objects.Object) -> None:
    """A delayed payment did not arrive: the order waits no longer."""
    if session["payment_status"] == "unpaid":
        _lapse(session, OrderStatus.FAILED)


def payment_of(payment_intent_id: str) -> Payment | None:
    """Our payment of a PaymentIntent, settled now if its own event is late; None if not ours."""
    known = Payment.objects.filter(rail="card", external_id=payment_intent_id)
    if not known.exists():
        settle_payment(payment_intent_id)
    return known.first()


def settle_payment(payment_intent_id: str) -> None:
    """Settle what a PaymentIntent was for: a session, an invoice, or a saved card of our own."""
    session = objects.session_of_payment(payment_intent_id)
    if session is not None:
        settle(session)
        return
    invoice = objects.invoice_of_payment(payment_intent_id)
    if invoice is not None:
        subscriptions.sync_invoice(invoice)
        return
    off_session.settle_own(payment_intent_id)


def is_free(session: objects.Object) -> bool:
    """Whether it was completed without anything to pay."""
    return bool(
        session["payment_status"] == "no_payment_required" and session["status"] == "complete"
    )


def order_id(session: objects.Object) -> UUID | None:
    """The order a session says it is for."""
    named = (session.get("metadata") or {}).get("order_id") or session.get("client_reference_id")
    try:
        return UUID(str(named))
    except ValueError:
        return None


def _complete_free(session: objects.Object) -> None:
    named = order_id(session)
    if named is None:
        return
    try:
        orders.complete_free(
            named,
            discount_minor=session["total_details"]["amount_discount"],
            occurred_at=objects.moment(session["created"]),
        )
    except NotFound:
        logger.info("session of an order that is not ours", extra={"session": session["id"]})


def _lapse(session: objects.Object, status: OrderStatus) -> None:
    named = order_id(session)
    if named is None:
        return
    try:
        orders.lapse(named, status, external_id=session["id"])
    except NotFound:
        logger.info("session of an order that is not ours", extra={"session": session["id"]})


def _parameters(order: Order, product_id: str) -> dict[str, Any]:
    names = {"order_id": str(order.pk)}
    shared = {
        "client_reference_id": str(order.pk),
        "metadata": names,
        "allow_promotion_codes": True,
        "automatic_tax": {"enabled": settings.STRIPE_AUTOMATIC_TAX},
        "customer_update": {"address": "auto"} if settings.STRIPE_AUTOMATIC_TAX else {},
        "success_url": settings.PUBLIC_URL + reverse("billing:success", args=[order.pk]),
        "cancel_url": settings.PUBLIC_URL + reverse("billing:cancelled", args=[order.pk]),
    }
    if order.recurring:
        return shared | _recurring(order, product_id, order.recurring, names)
    return shared | {
        "mode": "payment",
        "payment_intent_data": {"metadata": names},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": order.asset.lower(),
                    "unit_amount": order.subtotal_minor,
                    "product": product_id,
                    "tax_behavior": "exclusive",
                },
            }
        ],
    }


def _recurring(
    order: Order, product_id: str, terms: dict[str, Any], names: dict[str, str]
) -> dict[str, Any]:
    price_id = catalogue_sync.ensure_price(product_id, terms["interval"], order.subtotal)
    trial: dict[str, Any] = {}
    if terms["trial_days"]:
        trial = {"trial_period_days": terms["trial_days"]}
    return {
        "mode": "subscription",
        "subscription_data": {"metadata": names, **trial},
        "line_items": [{"quantity": 1, "price": price_id}],
    }


def _charge(session: objects.Object, for_order: UUID | None) -> Charge:
    """The money of a paid session, read from the session: it knows codes and tax."""
    intent = session["payment_intent"]
    made = intent.get("latest_charge") or intent
    return Charge(
        rail="card",
        external_id=intent["id"],
        asset=asset(session["currency"].upper()),
        amount_minor=session["amount_total"],
        subtotal_minor=session["amount_subtotal"],
        discount_minor=session["total_details"]["amount_discount"],
        tax_minor=session["total_details"]["amount_tax"],
        occurred_at=objects.moment(made["created"]),
        customer=customers.known_as(objects.id_of(session["customer"])),
        order_id=for_order,
    )
