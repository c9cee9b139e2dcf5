"""What a refund does to the ledger: pins, then takes back, or gives back again."""

from __future__ import annotations

from uuid import UUID

from billing.models import Payment, Refund
from billing.services import rails, reversals
from common import clock


def lock(payment_id: UUID) -> Payment:
    """The payment with its order and customer, locked until the transaction ends."""
    return (
        Payment.objects.select_for_update(of=("self",))
        .select_related("order__customer", "customer")
        .get(pk=payment_id)
    )


def pin(payment: Payment, refund: Refund) -> None:
    """Fix the refund's tax part and set aside what it will take back; not counted in yet."""
    fix_tax(payment, refund)
    reversals.pin(_part(payment, refund))


def unpin(payment: Payment, refund: Refund) -> None:
    """Give back what was set aside: the refund failed before it was booked."""
    reversals.unpin(_part(payment, refund))


def fix_tax(payment: Payment, refund: Refund) -> None:
    """Say how much of a refund that is not counted in yet is tax."""
    asked_tax = reversals.asked_tax_minor(payment)
    refund.tax_minor = reversals.next_tax_minor(payment, refund.amount_minor, asked_tax)
    refund.save(update_fields=["tax_minor"])


def book(payment: Payment, refund: Refund) -> None:
    """Take units and money back, once; the caller holds both locks and saves the refund."""
    if refund.booked_at is not None:
        return
    refund.bookings += 1
    refund.booked_at = clock.now()
    part = _part(payment, refund)
    reversals.take_units(part)
    reversals.take_money(part)
    reversals.count(part, sign=1)


def unbook(payment: Payment, refund: Refund) -> None:
    """Undo ``book``: the refund failed after it had succeeded."""
    part = _part(payment, refund)
    reversals.return_units(part)
    reversals.return_money(part)
    reversals.count(part, sign=-1)
    refund.booked_at = None


def _part(payment: Payment, refund: Refund) -> reversals.Part:
    return reversals.Part(
        payment=payment,
        cause=f"refund:{refund.pk}",
        key=f"refund:{refund.pk}:{refund.bookings}",
        amount_minor=refund.amount_minor,
        tax_minor=refund.tax_minor,
        net_before_minor=payment.refunded_minor - payment.refunded_tax_minor,
        into=rails.of(payment).clearing,
    )
