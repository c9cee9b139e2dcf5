"""Cards that are saved at Stripe: saving one, and charging it without its owner."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import stripe

from accounts.models import Customer
from billing.errors import RailUnavailable
from billing.models import AutoTopUpCharge, Order, Payment
from billing.money import asset
from billing.rails.card import customers, objects
from billing.rails.card.client import reachable
from billing.services import auto_top_up_charges, auto_top_ups
from billing.services.charges import Charge
from billing.services.charging import ChargeAnswer, Result
from common.errors import NotFound

RAIL = "card"
# Marks our charges, and sessions whose card is for a consent of ours.
OURS = "auto_top_up"
CONSENT = "auto_top_up_consent"
TAKEN = "card_taken"
# Stripe's clock and ours may differ by that much.
SKEW = timedelta(hours=1)
STILL_DECIDING = ("processing", "requires_capture")


def saved_card(customer: Customer) -> str | None:
    """The customer's default payment method, as people call it."""
    method = _default(customers.ensure(customer))
    return name_of(method) if method else None


def name_of(method: objects.Object) -> str:
    """What people call a payment method: Visa •••• 4242."""
    details = method.get(method["type"]) or {}
    brand = str(details.get("brand") or method["type"]).replace("_", " ").title()
    last4 = details.get("last4")
    return f"{brand} •••• {last4}" if last4 else brand


def open_saving_page(customer: Customer, *, reference: str, done_url: str, back_url: str) -> str:
    """A Checkout page that saves a card and charges nothing."""
    customer_id = customers.ensure(customer)
    with reachable():
        session = stripe.checkout.Session.create(
            mode="setup",
            currency="usd",
            customer=customer_id,
            metadata={CONSENT: reference},
            success_url=f"{done_url}?page={{CHECKOUT_SESSION_ID}}",
            cancel_url=back_url,
        )
    return session.url or ""


def finish_saving(customer: Customer, page_id: str) -> None:
    """Take in a page of this customer's. Raises NotFound for anybody else's."""
    try:
        session = objects.checkout_session(page_id)
    except stripe.InvalidRequestError as refusal:
        raise NotFound from refusal
    if customers.known_as(objects.id_of(session["customer"])) != customer:
        raise NotFound
    take(session)


def take(session: objects.Object) -> None:
    """Make the card that a page saved the default, once: a later repeat undoes no later choice."""
    told = session.get("metadata") or {}
    customer = customers.known_as(objects.id_of(session["customer"]))
    is_new = CONSENT in told and TAKEN not in told
    if session["status"] != "complete" or customer is None or not is_new:
        return
    with reachable():
        intent = stripe.SetupIntent.retrieve(
            str(objects.id_of(session["setup_intent"])), expand=["payment_method"]
        ).to_dict()
        method = intent["payment_method"]
        if not isinstance(method, dict):
            return
        stripe.Customer.modify(
            str(objects.id_of(session["customer"])),
            invoice_settings={"default_payment_method": method["id"]},
        )
    auto_top_ups.card_saved(customer, reference=str(told[CONSENT]), card=name_of(method))
    with reachable():
        stripe.checkout.Session.modify(session["id"], metadata={TAKEN: method["id"]})


def charge(order: Order) -> ChargeAnswer:
    """Charge the default payment method, once per the order's key."""
    customer_id = customers.ensure(order.customer)
    method = _default(customer_id)
    if method is None:
        return ChargeAnswer("", Result.DECLINED, code="no_card", no_card=True)
    try:
        with reachable():
            made = stripe.PaymentIntent.create(
                amount=order.total.amount_minor,
                currency=order.asset.lower(),
                customer=customer_id,
                payment_method=method["id"],
                confirm=True,
                off_session=True,
                automatic_payment_methods={"enabled": True, "allow_redirects": "never"},
                description=order.product_name,
                metadata={"order_id": str(order.pk), OURS: "1"},
                expand=["latest_charge.balance_transaction"],
                idempotency_key=order.provider_key,
            )
    except stripe.CardError as error:
        return _refused(error, name_of(method))
    except stripe.IdempotencyError as error:
        # Another card was sent under this key before; what came of that is looked up first.
        raise RailUnavailable(key_spent=True) from error
    except stripe.InvalidRequestError as error:
        return _refused(error, name_of(method))
    return answer(dict(made.to_dict()), name_of(method))


def find(order: Order, since: datetime) -> ChargeAnswer | None:
    """What Stripe has of this order: money first, then what is undecided, then what failed."""
    with reachable():
        page = stripe.PaymentIntent.list(
            customer=customers.ensure(order.customer),
            created={"gte": int((since - SKEW).timestamp())},
            limit=100,
        )
        found = [dict(one.to_dict()) for one in page.auto_paging_iter()]
    ours = [one for one in found if (one.get("metadata") or {}).get("order_id") == str(order.pk)]
    if not ours:
        return None
    best = min(ours, key=lambda one: _rank(str(one["status"])))
    return answer(objects.payment_intent(best["id"]))


def settle_own(payment_intent_id: str) -> None:
    """Book what became of a PaymentIntent, if we asked for it by ourselves."""
    intent = objects.payment_intent(payment_intent_id)
    if is_ours(intent):
        settle(intent)


def settle(intent: objects.Object) -> Payment | None:
    """Book what became of a PaymentIntent of ours; None for any other, and while it is unpaid."""
    order_id = objects.order_id(intent)
    return auto_top_up_charges.record(order_id, answer(intent)) if order_id else None


def is_ours(thing: objects.Object) -> bool:
    """Whether a PaymentIntent, or a charge of one, is one that we asked for by ourselves."""
    order_id = objects.order_id(thing)
    marked = OURS in (thing.get("metadata") or {})
    return marked and AutoTopUpCharge.objects.filter(order=order_id).exists()


def answer(intent: objects.Object, card: str = "") -> ChargeAnswer:
    """What Stripe says of a PaymentIntent, in our terms."""
    if intent["status"] == "succeeded":
        made = intent.get("latest_charge") or {}
        transaction = made.get("balance_transaction") if isinstance(made, dict) else None
        fee = transaction["fee"] if isinstance(transaction, dict) else None
        return ChargeAnswer(
            intent["id"], Result.PAID, charge=_money(intent), fee_minor=fee, card=card
        )
    if intent["status"] in STILL_DECIDING:
        return ChargeAnswer(intent["id"], Result.UNDER_WAY, card=card)
    return _declined(intent["id"], intent.get("last_payment_error") or {}, card)


def _money(intent: objects.Object) -> Charge:
    made = intent["latest_charge"] if isinstance(intent.get("latest_charge"), dict) else intent
    return Charge(
        rail=RAIL,
        external_id=intent["id"],
        asset=asset(intent["currency"].upper()),
        amount_minor=intent["amount_received"],
        subtotal_minor=intent["amount_received"],
        discount_minor=0,
        tax_minor=0,
        occurred_at=objects.moment(made["created"]),
        customer=customers.known_as(objects.id_of(intent["customer"])),
        order_id=objects.order_id(intent),
    )


def _refused(error: stripe.StripeError, card: str) -> ChargeAnswer:
    """A 402, or a call that Stripe cannot carry out: nothing was charged."""
    body: Any = error.json_body
    told = (body or {}).get("error") or {}
    intent = told.get("payment_intent")
    return _declined(str(objects.id_of(intent) or ""), told, card)


def _declined(external_id: str, told: objects.Object, card: str) -> ChargeAnswer:
    code = str(told.get("decline_code") or told.get("code") or "")
    return ChargeAnswer(
        external_id,
        Result.DECLINED,
        code=code,
        message=str(told.get("message") or ""),
        card=card,
        needs_owner=told.get("code") == "authentication_required",
        is_final=told.get("advice_code") == "do_not_try_again",
    )


def _default(customer_id: str) -> objects.Object | None:
    with reachable():
        found = stripe.Customer.retrieve(
            customer_id, expand=["invoice_settings.default_payment_method"]
        ).to_dict()
    method = (found.get("invoice_settings") or {}).get("default_payment_method")
    return dict(method) if isinstance(method, dict) else None


def _rank(status: str) -> int:
    if status == "succeeded":
        return 0
    return 1 if status in STILL_DECIDING else 2
