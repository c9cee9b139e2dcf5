"""Reading Stripe's objects as they are now, as plain dictionaries. Each call is one request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import stripe

from billing.rails.card.client import reachable

Object = dict[str, Any]

_SESSION = ["payment_intent.latest_charge.balance_transaction"]


def moment(timestamp: int) -> datetime:
    """Stripe's seconds since 1970 as a moment."""
    return datetime.fromtimestamp(timestamp, UTC)


def id_of(value: str | Object | None) -> str | None:
    """The id in a field that may be expanded."""
    return value["id"] if isinstance(value, dict) else value


def order_id(thing: Object) -> UUID | None:
    """The order that an object's metadata names."""
    try:
        return UUID(str((thing.get("metadata") or {}).get("order_id")))
    except ValueError:
        return None


def checkout_session(session_id: str) -> Object:
    """A Checkout Session with its charge and what Stripe kept of it."""
    with reachable():
        return dict(stripe.checkout.Session.retrieve(session_id, expand=_SESSION).to_dict())


def session_of_payment(payment_intent_id: str) -> Object | None:
    """The Checkout Session that made a PaymentIntent, if one did."""
    with reachable():
        page = stripe.checkout.Session.list(payment_intent=payment_intent_id, limit=1)
    return checkout_session(page.data[0].id) if page.data else None


def subscription(subscription_id: str) -> Object:
    """A subscription with its newest invoice and what it is scheduled to become."""
    with reachable():
        return dict(
            stripe.Subscription.retrieve(
                subscription_id, expand=["latest_invoice", "schedule"]
            ).to_dict()
        )


def schedule(schedule_id: str) -> Object:
    """A subscription schedule."""
    with reachable():
        return dict(stripe.SubscriptionSchedule.retrieve(schedule_id).to_dict())


def invoice(invoice_id: str) -> Object:
    """An invoice with its payments."""
    with reachable():
        return dict(stripe.Invoice.retrieve(invoice_id, expand=["payments"]).to_dict())


def paid_invoices_of(subscription_id: str) -> list[Object]:
    """Every paid invoice of a subscription, oldest first."""
    with reachable():
        page = stripe.Invoice.list(subscription=subscription_id, status="paid", limit=100)
        found = [dict(one.to_dict()) for one in page.auto_paging_iter()]
    return found[::-1]


def invoice_of_payment(payment_intent_id: str) -> Object | None:
    """The invoice that a PaymentIntent pays, if it pays one."""
    with reachable():
        page = stripe.InvoicePayment.list(
            payment={"type": "payment_intent", "payment_intent": payment_intent_id}, limit=1
        )
    return invoice(str(id_of(page.data[0].to_dict()["invoice"]))) if page.data else None


def invoice_lines(found: Object) -> list[Object]:
    """Every line of an invoice; it carries the first ten with it."""
    if not found["lines"]["has_more"]:
        return list(found["lines"]["data"])
    with reachable():
        page = stripe.Invoice.list_lines(found["id"], limit=100)
        return [dict(one.to_dict()) for one in page.auto_paging_iter()]


def payment_intent(payment_intent_id: str) -> Object:
    """A PaymentIntent with its charge and what Stripe kept of it."""
    with reachable():
        return dict(
            stripe.PaymentIntent.retrieve(
                payment_intent_id, expand=["latest_charge.balance_transaction"]
            ).to_dict()
        )


def charge(charge_id: str) -> Object:
    """A charge with its balance transaction, which is null until Stripe has made it."""
    with reachable():
        return dict(stripe.Charge.retrieve(charge_id, expand=["balance_transaction"]).to_dict())


def refund(refund_id: str) -> Object:
    """A refund."""
    with reachable():
        return dict(stripe.Refund.retrieve(refund_id).to_dict())


def dispute(dispute_id: str) -> Object:
    """A dispute with what it moved on our balance."""
    with reachable():
        return dict(stripe.Dispute.retrieve(dispute_id).to_dict())


def refunds_of_payment(payment_intent_id: str) -> list[Object]:
    """Every refund of a PaymentIntent, newest first."""
    with reachable():
        page = stripe.Refund.list(payment_intent=payment_intent_id, limit=100)
        return [dict(one.to_dict()) for one in page.auto_paging_iter()]
