"""Unapplied money: what came and fits nothing. Kept visible, turned into credits or refunded."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.models import Customer
from billing import catalogue, ledger
from billing.models import Code, LedgerAccount, Order, Payment
from billing.services import closing, credit_packs, notifiers, rails
from common.errors import Conflict

ROLE = "unapplied"


def account(payment: Payment) -> LedgerAccount:
    """Where this payment's money lies while it is unapplied: its payer's, or the house's."""
    if payment.customer is None:
        return ledger.system_account(f"{ROLE}:unknown", payment.unit)
    return ledger.balance_account(payment.customer, ROLE, payment.unit)


def keep(payment: Payment) -> None:
    """Book a new payment as unapplied; by policy it becomes credits at once."""
    clearing = ledger.system_account(rails.of(payment).clearing, payment.unit)
    leg = ledger.Leg(
        clearing,
        account(payment),
        payment.amount_minor,
        Code.FUND,
        f"payment:{payment.pk}:unapplied",
    )
    ledger.post([leg], group=f"payment:{payment.pk}", occurred_at=payment.occurred_at)
    if settings.UNAPPLIED_POLICY == "credits" and can_become_credits(payment):
        become_credits(payment)


def can_become_credits(payment: Payment) -> bool:
    """Whether it has a payer, a rate and something net of tax, and no refund touches it."""
    return (
        payment.order_id is None
        and payment.customer_id is not None
        and payment.refunding_minor == 0
        and payment.net_minor > 0
        and catalogue.current().has_rate(payment.unit)
    )


@transaction.atomic
def apply_as_credits(payment_id: UUID) -> Payment:
    """Turn an unapplied payment into credits now. Raises Conflict when that is not possible."""
    payment = _lock(payment_id)
    if not can_become_credits(payment):
        raise Conflict(
            "This payment cannot become credits: it is applied, refunded or has no payer."
        )
    become_credits(payment)
    return payment


@transaction.atomic
def assign(payment_id: UUID, customer: Customer) -> Payment:
    """Say who an unknown payer was; the money moves to their account. Raises Conflict if known."""
    payment = _lock(payment_id)
    if payment.customer_id is not None or payment.order_id is not None or payment.refunding_minor:
        raise Conflict("This payment already has a payer, an order or a refund.")
    source = account(payment)
    payment.customer = customer
    payment.save(update_fields=["customer"])
    leg = ledger.Leg(
        source, account(payment), payment.amount_minor, Code.APPLY, f"payment:{payment.pk}:payer"
    )
    ledger.post([leg], group=f"payment:{payment.pk}", occurred_at=payment.occurred_at)
    notifiers.tell("payment_settled", payment)
    return payment


def become_credits(payment: Payment) -> None:
    """Make an order of credits for the payment's net at the catalogue rate, and close it."""
    if payment.customer is None:
        raise Conflict("Say first who paid.")
    pack = catalogue.current().credits_for(payment.net, slug="unapplied")
    item = credit_packs.sold(pack, payment.unit)
    order = Order.objects.create(
        customer=payment.customer,
        rail=payment.rail,
        product_kind=item.kind,
        product_slug=item.slug,
        product_name=item.name,
        snapshot=item.snapshot,
        asset=payment.asset,
        subtotal_minor=item.price.amount_minor,
        from_unapplied=True,
    )
    source = account(payment)
    payment.order = order
    payment.save(update_fields=["order"])
    closing.close_with(payment, order, source=source, discount_minor=0)


def _lock(payment_id: UUID) -> Payment:
    return (
        Payment.objects.select_for_update(of=("self",))
        .select_related("customer")
        .get(pk=payment_id)
    )
