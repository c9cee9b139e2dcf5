"""One of each e-mail with made-up contents, for looking at; nothing here is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from accounts.models import ApiKey, Customer
from billing.models import (
    Dispute,
    DisputeState,
    EmailKind,
    Invoice,
    InvoiceKind,
    Order,
    Payment,
    Refund,
    Subscription,
    SubscriptionStatus,
)
from billing.money import CREDIT, USD, Money
from billing.services import letters_accounts as accounts
from billing.services import letters_payments as payments
from billing.services import letters_plans as plans
from billing.services.letters import Letter
from common import clock

Make = Callable[[Customer], Letter]


def customer(language: str) -> Customer:
    """Who gets them."""
    return Customer(
        name="Ada & Sons", email="ada@example.com", language=language, time_zone="Europe/Berlin"
    )


def find(name: str) -> tuple[EmailKind, Make] | None:
    """The sample of that name, and its kind; None if there is none."""
    make = SAMPLES.get(name)
    return (EmailKind(name.partition("-")[0]), make) if make else None


def _order(buyer: Customer, **fields: object) -> Order:
    told: dict[str, object] = {
        "customer": buyer,
        "rail": "card",
        "product_kind": "plan",
        "product_name": "Premium, per month",
        "snapshot": {"plan": "premium", "interval": "month"},
        "asset": USD.code,
        "subtotal_minor": 99_99,
        "discount_minor": 10_00,
        "tax_minor": 17_10,
        "delivered_at": clock.now(),
    }
    return Order(**(told | fields))


def _payment(buyer: Customer, order: Order | None = None, **fields: object) -> Payment:
    order = order or _order(buyer)
    told: dict[str, object] = {
        "customer": buyer,
        "order": order,
        "rail": "card",
        "asset": USD.code,
        "amount_minor": order.total.amount_minor,
        "tax_minor": order.tax_minor,
        "occurred_at": clock.now(),
    }
    return Payment(**(told | fields))


def _credits(buyer: Customer, **fields: object) -> Payment:
    order = _order(
        buyer,
        product_kind="credit_pack",
        product_name="Medium credit pack",
        snapshot={"credits_minor": 5_000_000_000},
        subtotal_minor=10_00,
        discount_minor=0,
        tax_minor=0,
        **fields,
    )
    return _payment(buyer, order)


def _invoice(buyer: Customer, kind: InvoiceKind = InvoiceKind.INVOICE) -> Invoice:
    invoice = Invoice(
        kind=kind,
        customer=buyer,
        order=_order(buyer),
        series="INV-2026" if kind == InvoiceKind.INVOICE else "CN-2026",
        number=42,
        asset=USD.code,
        subtotal_minor=99_99,
        discount_minor=10_00,
        tax_minor=17_10,
    )
    if kind != InvoiceKind.INVOICE:
        invoice.corrects = _invoice(buyer)
    return invoice


def _subscription(buyer: Customer, **fields: object) -> Subscription:
    ends_at = _in_days(7)
    told: dict[str, object] = {
        "customer": buyer,
        "rail": "card",
        "plan_slug": "premium",
        "interval": "month",
        "asset": USD.code,
        "price_minor": 99_99,
        "status": SubscriptionStatus.ACTIVE,
        "renews": True,
        "period_ends_at": ends_at,
        "trial_ends_at": ends_at,
        "past_due_since": clock.now(),
        "ended_at": clock.now(),
    }
    return Subscription(**(told | fields))


def _refund(buyer: Customer) -> Refund:
    return Refund(payment=_payment(buyer), amount_minor=42_00, closed_at=clock.now())


def _dispute(buyer: Customer) -> Dispute:
    return Dispute(payment=_payment(buyer), amount_minor=107_09, state=DisputeState.OPEN)


def _key(buyer: Customer) -> ApiKey:
    return ApiKey(
        customer=buyer,
        name="Build server",
        prefix="bp_test_a1B2c3D4e5F6",
        scopes=["credits:read", "credits:write"],
    )


def _in_days(days: int) -> datetime:
    return clock.now() + timedelta(days=days)


def _invitation(buyer: Customer) -> Letter:
    return accounts.invitation(
        buyer,
        team="Ada & Sons",
        inviter="Ada Lovelace",
        role="billing",
        url="https://portal.example.com/settings/invitations/0123456789abcdef",
        until=_in_days(7),
    )


# A name is a kind, or a kind and a variant of it.
SAMPLES: dict[str, Make] = {
    "receipt": lambda one: payments.receipt(_payment(one), _invoice(one)),
    "receipt-credits": lambda one: payments.receipt(_credits(one), None),
    "receipt-undelivered": lambda one: payments.receipt(_credits(one, delivered_at=None), None),
    "receipt-unapplied": lambda one: payments.receipt(_credits(one, from_unapplied=True), None),
    "invoice": lambda one: payments.document(_invoice(one), []),
    "invoice-credit_note": lambda one: payments.document(
        _invoice(one, InvoiceKind.CREDIT_NOTE), []
    ),
    "invoice-reversal": lambda one: payments.document(_invoice(one, InvoiceKind.REVERSAL), []),
    "refund_made": lambda one: payments.refund_made(_refund(one)),
    "dispute_opened": lambda one: payments.dispute_opened(_dispute(one)),
    "payment_failed": lambda one: plans.payment_failed(
        _subscription(one, status=SubscriptionStatus.PAST_DUE)
    ),
    "payment_failed-suspended": lambda one: plans.payment_failed(
        _subscription(one, status=SubscriptionStatus.SUSPENDED)
    ),
    "subscription_suspended": lambda one: plans.suspended(_subscription(one)),
    "subscription_ended": lambda one: plans.ended(_subscription(one)),
    "renewal_soon": lambda one: plans.renewal_soon(_subscription(one)),
    "renewal_soon-change": lambda one: plans.renewal_soon(
        _subscription(one, next_plan_slug="basic", next_interval="month")
    ),
    "trial_ending": lambda one: plans.trial_ending(_subscription(one)),
    "plan_expires_soon": lambda one: plans.expires_soon(_subscription(one, renews=False)),
    "credits_expire_soon": lambda one: accounts.credits_expire_soon(
        one, Money(1_250_000_000, CREDIT), _in_days(7)
    ),
    "spend_cap_reached": lambda one: accounts.spend_cap_reached(
        one, Money(10_000_000_000, CREDIT), _in_days(12)
    ),
    "auto_top_up_charged": lambda one: payments.auto_top_up_charged(_credits(one), None),
    "auto_top_up_failed": lambda one: payments.auto_top_up_failed(
        one, Money(10_00, USD), "declined"
    ),
    "auto_top_up_stopped": lambda one: payments.auto_top_up_stopped(one, "no_card"),
    "api_key_created": lambda one: accounts.api_key_created(_key(one)),
    "staff_adjustment": lambda one: accounts.staff_adjustment(one, Money(500_000_000, CREDIT)),
    "staff_adjustment-taken": lambda one: accounts.staff_adjustment(
        one, Money(-500_000_000, CREDIT)
    ),
    "invitation": _invitation,
}
