"""What a refund does to the ledger: pins, then takes back, or gives back again."""

from __future__ import annotations

from uuid import UUID

from billing import ledger
from billing.models import Code, Payment, Refund
from billing.money import share_half_even
from billing.services import products, rails, unapplied
from billing.services.products import Reversal
from common import clock


def lock(payment_id: UUID) -> Payment:
    """The payment with its order and customer, locked until the transaction ends."""
    return (
        Payment.objects.select_for_update(of=("self",))
        .select_related("order__customer", "customer")
        .get(pk=payment_id)
    )


def tax_part(payment: Payment, refunded_minor: int) -> int:
    """How much of the first ``refunded_minor`` refunded is tax: cumulative, half-even."""
    return share_half_even(payment.tax_minor, refunded_minor, payment.amount_minor)


def pin(payment: Payment, refund: Refund) -> None:
    """Set aside what the refund will take back."""
    if payment.order is not None and payment.order.delivered_at is not None:
        before = payment.refunding_minor
        products.type_of(payment.order).pin(_reversal(payment, refund, before))


def unpin(payment: Payment, refund: Refund) -> None:
    """Give back what was set aside: the refund failed before it was booked."""
    if payment.order is not None:
        products.type_of(payment.order).unpin(refund, at=clock.now())


def book(payment: Payment, refund: Refund) -> None:
    """Take units and money back, once; the caller holds both locks and saves the refund."""
    if refund.booked_at is not None:
        return
    before = payment.refunded_minor
    refund.tax_minor = tax_part(payment, before + refund.amount_minor) - payment.refunded_tax_minor
    refund.bookings += 1
    refund.booked_at = clock.now()
    reversal = _reversal(payment, refund, before)
    if payment.order is None:
        _move(payment, refund, "unapplied", refund.amount_minor, f"{reversal.key}:unapplied")
    else:
        if reversal.net_minor:
            product = products.type_of(payment.order)
            delivered = payment.order.delivered_at is not None
            (product.take_back if delivered else product.unearn)(reversal)
        if refund.tax_minor:
            _move(payment, refund, "tax", refund.tax_minor, f"{reversal.key}:tax")
    _count(payment, refund, sign=1)


def unbook(payment: Payment, refund: Refund) -> None:
    """Undo ``book``: the refund failed after it had succeeded."""
    reversal = _reversal(payment, refund, payment.refunded_minor - refund.amount_minor)
    if payment.order is None:
        _move(payment, refund, "unapplied", -refund.amount_minor, f"{reversal.key}:unapplied:back")
    else:
        if reversal.net_minor:
            product = products.type_of(payment.order)
            delivered = payment.order.delivered_at is not None
            (product.give_back if delivered else product.earn_again)(reversal)
        if refund.tax_minor:
            _move(payment, refund, "tax", -refund.tax_minor, f"{reversal.key}:tax:back")
    _count(payment, refund, sign=-1)
    refund.booked_at = None


def _reversal(payment: Payment, refund: Refund, before_minor: int) -> Reversal:
    after_minor = before_minor + refund.amount_minor
    net_before = before_minor - tax_part(payment, before_minor)
    net_after = after_minor - tax_part(payment, after_minor)
    return Reversal(
        order=payment.order,  # type: ignore[arg-type]  # only used where there is one
        refund=refund,
        net_minor=net_after - net_before,
        net_before_minor=net_before,
        clearing=rails.of(payment).clearing,
        key=f"refund:{refund.pk}:{refund.bookings}",
        occurred_at=clock.now(),
    )


def _move(payment: Payment, refund: Refund, role: str, amount_minor: int, key: str) -> None:
    """Move money from tax or unapplied to clearing; a negative amount moves it back."""
    ours = (
        unapplied.account(payment)
        if role == "unapplied"
        else ledger.system_account(role, payment.unit)
    )
    clearing = ledger.system_account(rails.of(payment).clearing, payment.unit)
    source, target = (ours, clearing) if amount_minor > 0 else (clearing, ours)
    code = Code.REFUND if amount_minor > 0 else Code.REFUND_FAILED
    leg = ledger.Leg(source, target, abs(amount_minor), code, key)
    ledger.post([leg], group=f"refund:{refund.pk}", occurred_at=clock.now())


def _count(payment: Payment, refund: Refund, *, sign: int) -> None:
    payment.refunded_minor += sign * refund.amount_minor
    payment.refunded_tax_minor += sign * refund.tax_minor
    payment.save(update_fields=["refunded_minor", "refunded_tax_minor"])
