"""What a refund does to the ledger: pins, then takes back, or gives back again."""

from __future__ import annotations

from uuid import UUID

from billing.models import Payment, Refund
from billing.services import rails, reversals
from billing.services.reversals import tax_part
from common import clock


def lock(payment_id: UUID) -> Payment:
    """The payment with its order and customer, locked until the transaction ends."""
    return (
        Payment.objects.select_for_update(of=("self",))
        .select_related("order__customer", "customer")
        .get(pk=payment_id)
    )


def pin(payment: Payment, refund: Refund) -> None:
    """Set aside what the refund will take back, as far as can be told before it is booked."""
    before = payment.refunding_minor
    before_tax = tax_part(payment, before)
    tax = tax_part(payment, before + refund.amount_minor) - before_tax
    reversals.pin(_part(payment, refund, tax_minor=tax, net_before_minor=before - before_tax))


def unpin(payment: Payment, refund: Refund) -> None:
    """Give back what was set aside: the refund failed before it was booked."""
    reversals.unpin(_part(payment, refund, tax_minor=0, net_before_minor=0))


def book(payment: Payment, refund: Refund) -> None:
    """Take units and money back, once; the caller holds both locks and saves the refund."""
    if refund.booked_at is not None:
        return
    refund.tax_minor = reversals.next_tax_minor(payment, refund.amount_minor)
    refund.bookings += 1
    refund.booked_at = clock.now()
    part = _part(
        payment,
        refund,
        tax_minor=refund.tax_minor,
        net_before_minor=payment.refunded_minor - payment.refunded_tax_minor,
    )
    reversals.take_units(part)
    reversals.take_money(part)
    reversals.count(part, sign=1)


def unbook(payment: Payment, refund: Refund) -> None:
    """Undo ``book``: the refund failed after it had succeeded."""
    part = _part(payment, refund, tax_minor=refund.tax_minor, net_before_minor=0)
    reversals.return_units(part)
    reversals.return_money(part)
    reversals.count(part, sign=-1)
    refund.booked_at = None


def _part(
    payment: Payment, refund: Refund, *, tax_minor: int, net_before_minor: int
) -> reversals.Part:
    return reversals.Part(
        payment=payment,
        cause=f"refund:{refund.pk}",
        key=f"refund:{refund.pk}:{refund.bookings}",
        amount_minor=refund.amount_minor,
        tax_minor=tax_minor,
        net_before_minor=net_before_minor,
        into=rails.of(payment).clearing,
    )
