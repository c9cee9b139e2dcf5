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
from billing.rails.card import catalogue_sync, customers, objects
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
    """Bring our order to what a payment-mode session says today; repeating it changes nothing.

    Other modes settle by their invoices. An unpaid complete session is a debit that is still on
    its way: nothing is delivered before the money is there.
    """
    if session["mode"] != "payment":
        return
    if session["payment_status"] == "paid":
        payment = payments.settle(_charge(session, order_id(session)))
        _book_fee(payment.pk, session)
    elif is_free(session):
        _complete_free(session)
    elif session["status"] == "expired":
        _lapse(session, OrderStatus.EXPIRED)


def fail(session: objects.Object) -> None:
    """A delayed payment did not arrive: the order waits no longer."""
    if session["payment_status"] == "unpaid":
        _lapse(session, OrderStatus.FAILED)


def payment_of(payment_intent_id: str) -> Payment | None:
    """Our payment of a PaymentIntent, settled now if its own event is late; None if not ours."""
    known = Payment.objects.filter(rail="card", external_id=payment_intent_id)
    if not known.exists():
        session = objects.session_of_payment(payment_intent_id)
        if session is not None:
            settle(session)
    return known.first()


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
    success = settings.PUBLIC_URL + reverse("billing:success", args=[order.pk])
    cancel = settings.PUBLIC_URL + reverse("billing:cancelled", args=[order.pk])
    names = {"order_id": str(order.pk)}
    return {
        "mode": "payment",
        "client_reference_id": str(order.pk),
        "metadata": names,
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
        "allow_promotion_codes": True,
        "automatic_tax": {"enabled": settings.STRIPE_AUTOMATIC_TAX},
        "customer_update": {"address": "auto"} if settings.STRIPE_AUTOMATIC_TAX else {},
        "success_url": success,
        "cancel_url": cancel,
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


def _book_fee(payment_id: UUID, session: objects.Object) -> None:
    book_fee_of(payment_id, session["payment_intent"].get("latest_charge"))


def book_fee_of(payment_id: UUID, charge: objects.Object | None) -> None:
    """Book Stripe's fee of a charge, once its balance transaction is there."""
    transaction = (charge or {}).get("balance_transaction")
    if isinstance(transaction, dict):
        payments.book_fee(payment_id, transaction["fee"])
