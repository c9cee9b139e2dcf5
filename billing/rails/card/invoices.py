"""Stripe's invoices: money and time that it billed for a subscription by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from billing.models import Payment
from billing.money import Money, asset
from billing.rails.card import customers, fees, objects, prices
from billing.services import payments, renewals
from billing.services.charges import Charge, Reason, Term

RAIL = "card"
# https://docs.stripe.com/api/invoices/object#invoice_object-billing_reason
REASONS = {
    "subscription_create": Reason.FIRST,
    "subscription_update": Reason.CHANGE,
}


def settle(invoice: objects.Object, subscription: objects.Object | None) -> Payment | None:
    """Book what a paid invoice brought and deliver its time; repeating it changes nothing.

    One that is not paid changes nothing, one with nothing to pay delivers without a Payment.
    """
    return prepare(invoice, subscription)()


def prepare(
    invoice: objects.Object, subscription: objects.Object | None
) -> Callable[[], Payment | None]:
    """Ask Stripe for all that settling needs; what it returns settles, and asks nobody."""
    if invoice["status"] != "paid":
        return lambda: None
    term = _term(invoice, subscription) if subscription else None
    if invoice["amount_paid"] > 0:
        intent = _intent(invoice)
        charge = _charge(invoice, intent, term)
        return lambda: _settle(charge, intent)
    if term is not None and invoice["subtotal"] >= 0:
        return lambda: _settle_free(invoice, term)
    return lambda: None


def _settle(charge: Charge, intent: objects.Object | None) -> Payment:
    payment = payments.settle(charge)
    fees.book(payment.pk, (intent or {}).get("latest_charge"))
    return payment


def _settle_free(invoice: objects.Object, term: Term) -> None:
    renewals.settle_free(
        customers.known_as(objects.id_of(invoice["customer"])),
        term,
        list_price=Money(max(invoice["subtotal"], term.price_minor), term.asset),
        occurred_at=_paid_at(invoice),
    )


def subscription_id(invoice: objects.Object) -> str | None:
    """The subscription an invoice is for; None for one that somebody made by hand."""
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    return objects.id_of(details.get("subscription"))


def _paid_at(invoice: objects.Object) -> datetime:
    return objects.moment(invoice["status_transitions"]["paid_at"] or invoice["created"])


def _intent(invoice: objects.Object) -> objects.Object | None:
    """The payment behind it; None when it was marked as paid elsewhere."""
    for one in (invoice.get("payments") or {}).get("data", []):
        intent_id = objects.id_of(one["payment"].get("payment_intent"))
        if one["status"] == "paid" and intent_id is not None:
            return objects.payment_intent(intent_id)
    return None


def _charge(invoice: objects.Object, intent: objects.Object | None, term: Term | None) -> Charge:
    """The money of a paid invoice; credit that the customer has at Stripe counts as discount.

    Stripe charges no less than some cents: those it adds to the customer's next invoice. Tax that
    a change of plan gives back, where none is due any more, is a discount, too.
    """
    tax = max(sum(one["amount"] for one in invoice["total_taxes"] or []), 0)
    paid = invoice["amount_paid"]
    missing = invoice["subtotal"] + tax - paid
    return Charge(
        rail=RAIL,
        external_id=intent["id"] if intent else invoice["id"],
        asset=asset(invoice["currency"].upper()),
        amount_minor=paid,
        subtotal_minor=invoice["subtotal"],
        discount_minor=max(missing, 0),
        owed_before_minor=max(-missing, 0),
        tax_minor=tax,
        occurred_at=_paid_at(invoice),
        customer=customers.known_as(objects.id_of(invoice["customer"])),
        order_id=None,
        term=term,
    )


def _term(invoice: objects.Object, subscription: objects.Object) -> Term | None:
    """The time it bills: its newest line that is not a credit. None when it bills no time."""
    lines = [one for one in objects.invoice_lines(invoice) if _bills_time(one)]
    if not lines:
        return None
    line = max(lines, key=lambda one: (one["period"]["end"], one["amount"]))
    price = prices.read(objects.id_of(line["pricing"]["price_details"]["price"]) or "")
    trial_end = subscription["trial_end"]
    return Term(
        rail=RAIL,
        subscription_id=subscription["id"],
        invoice_id=invoice["id"],
        reason=REASONS.get(invoice["billing_reason"], Reason.RENEWAL),
        plan_slug=price.plan_slug,
        interval=price.interval,
        price_minor=price.amount_minor,
        asset=asset(price.currency.upper()),
        starts_at=objects.moment(line["period"]["start"]),
        ends_at=objects.moment(line["period"]["end"]),
        anchor_at=objects.moment(subscription["billing_cycle_anchor"]),
        is_trial=line["amount"] == 0
        and trial_end is not None
        and line["period"]["end"] <= trial_end,
        order_id=_order_id(subscription),
    )


def _bills_time(line: objects.Object) -> bool:
    """Whether a line asks for time of a subscription; one that gives some back may come to 0."""
    details = (line["parent"] or {}).get("subscription_item_details")
    if not details or line["amount"] < 0:
        return False
    return not (details.get("proration_details") or {}).get("credited_items")


def _order_id(subscription: objects.Object) -> UUID | None:
    try:
        return UUID(str((subscription.get("metadata") or {}).get("order_id")))
    except ValueError:
        return None
