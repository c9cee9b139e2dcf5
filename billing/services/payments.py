"""Payments: money that came in is booked once, and applied to what it was for."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction

from billing import ledger
from billing.errors import IdempotencyMismatch
from billing.models import Code, Payment
from billing.services import closing, matching, notifiers, rails, unapplied
from billing.services.charges import Charge


@transaction.atomic
def settle(charge: Charge) -> Payment:
    """Book received money and deliver what it bought, once per rail and charge id.

    Rails repeat themselves; settling a charge that is already booked does nothing. Money that
    fits nothing is kept on ``unapplied`` and shown, never refused or dropped.
    """
    payment, is_new = _record_once(charge)
    if not is_new:
        return payment
    match = matching.match(charge)
    payment.customer = match.payer
    if match.order is None:
        payment.unapplied_reason = match.reason
        payment.save(update_fields=["customer", "unapplied_reason"])
        unapplied.keep(payment)
    else:
        payment.order = match.order
        payment.save(update_fields=["customer", "order"])
        clearing = ledger.system_account(rails.of(payment).clearing, payment.unit)
        closing.close_with(
            payment, match.order, source=clearing, discount_minor=charge.discount_minor
        )
    notifiers.tell("payment_settled", payment)
    return payment


@transaction.atomic
def book_fee(payment_id: UUID, fee_minor: int) -> None:
    """Book what the provider kept of a charge, once; 0 is a fee too. Later calls change nothing."""
    payment = Payment.objects.select_for_update().get(pk=payment_id)
    if payment.fee_minor is not None:
        return
    payment.fee_minor = fee_minor
    payment.save(update_fields=["fee_minor"])
    if fee_minor > 0:
        leg = ledger.Leg(
            ledger.system_account("provider_fee", payment.unit),
            ledger.system_account(rails.of(payment).clearing, payment.unit),
            fee_minor,
            Code.FEE,
            f"payment:{payment.pk}:fee",
        )
        ledger.post([leg], group=f"payment:{payment.pk}", occurred_at=payment.occurred_at)


def _record_once(charge: Charge) -> tuple[Payment, bool]:
    payment, is_new = Payment.objects.get_or_create(
        rail=charge.rail,
        external_id=charge.external_id,
        defaults={
            "customer": charge.customer,
            "asset": charge.asset.code,
            "amount_minor": charge.amount_minor,
            "tax_minor": charge.tax_minor,
            "occurred_at": charge.occurred_at,
        },
    )
    if (payment.asset, payment.amount_minor) != (charge.asset.code, charge.amount_minor):
        raise IdempotencyMismatch(
            f"{charge.external_id} was booked as {payment.amount} and is now {charge.amount}."
        )
    return payment, is_new
