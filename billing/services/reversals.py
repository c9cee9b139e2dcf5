"""Taking a part of a payment back, and giving it back again: what refunds and disputes share.

A part has two halves that may happen apart: the money (net, by the product, and tax) goes to
``into``, and the units go from the customer. Each half happens once per ``key``.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Sum

from billing import ledger
from billing.models import Code, LedgerAccount, Payment, RefundState
from billing.money import share_half_even
from billing.services import products, unapplied
from billing.services.products import ProductType, Reversal
from common import clock


@dataclass(frozen=True, slots=True)
class Part:
    """``amount_minor`` of a locked payment, of which ``tax_minor`` is tax.

    ``net_before_minor`` is the net that had gone back before: units follow the net from there on.
    """

    payment: Payment
    cause: str
    key: str
    amount_minor: int
    tax_minor: int
    net_before_minor: int
    # The system role the money goes to.
    into: str


def tax_part(payment: Payment, gone_minor: int) -> int:
    """How much of the first ``gone_minor`` that goes back is tax: cumulative, half-even."""
    return share_half_even(payment.tax_minor, gone_minor, payment.amount_minor)


def asked_tax_minor(payment: Payment) -> int:
    """The tax in all that was asked back: by refunds that have not failed, by frozen disputes."""
    refunds = payment.refunds.exclude(state=RefundState.FAILED)
    disputes = payment.disputes.filter(is_frozen=True)
    return int(
        (refunds.aggregate(total=Sum("tax_minor"))["total"] or 0)
        + (disputes.aggregate(total=Sum("frozen_tax_minor"))["total"] or 0)
    )


def next_tax_minor(payment: Payment, amount_minor: int, asked_tax: int) -> int:
    """The tax in the next ``amount_minor`` asked back: what is due by then, less ``asked_tax``.

    Fixed when it is asked for, so that it does not matter in which order parts succeed or fail.
    Kept within what is left of tax and net, which a part that failed may have left a cent beside
    the formula.
    """
    due = tax_part(payment, payment.refunding_minor + amount_minor) - asked_tax
    tax_left = payment.tax_minor - asked_tax
    net_left = payment.amount_minor - payment.refunding_minor - tax_left
    return max(amount_minor - net_left, 0, min(due, amount_minor, tax_left))


def pin(part: Part) -> None:
    """Set aside the units that will be taken back."""
    product, reversal = _product(part)
    if product is not None and reversal.net_minor and _is_delivered(part):
        product.pin(reversal)


def unpin(part: Part) -> None:
    """Give back what was set aside."""
    product, _ = _product(part)
    if product is not None:
        product.unpin(part.cause, at=clock.now())


def take_units(part: Part) -> None:
    """Take what was delivered; what is gone becomes debt."""
    product, reversal = _product(part)
    if product is not None and reversal.net_minor and _is_delivered(part):
        product.take_units(reversal)


def return_units(part: Part) -> None:
    """Undo ``take_units``."""
    product, reversal = _product(part)
    if product is not None and _is_delivered(part):
        product.return_units(reversal)


def take_money(part: Part) -> None:
    """Move net and tax to ``into``; unapplied money goes from where it lies."""
    product, reversal = _product(part)
    if product is None:
        _move(part, unapplied.account(part.payment), part.amount_minor, "unapplied")
        return
    if reversal.net_minor:
        (product.take_money if _is_delivered(part) else product.unearn)(reversal)
    _move(part, ledger.system_account("tax", part.payment.unit), part.tax_minor, "tax")


def return_money(part: Part) -> None:
    """Undo ``take_money``."""
    product, reversal = _product(part)
    if product is None:
        _move(part, unapplied.account(part.payment), -part.amount_minor, "unapplied:back")
        return
    if reversal.net_minor:
        (product.return_money if _is_delivered(part) else product.earn_again)(reversal)
    _move(part, ledger.system_account("tax", part.payment.unit), -part.tax_minor, "tax:back")


def count(part: Part, *, sign: int) -> None:
    """Count the part as gone from its payment, or (-1) as there again."""
    part.payment.refunded_minor += sign * part.amount_minor
    part.payment.refunded_tax_minor += sign * part.tax_minor
    part.payment.save(update_fields=["refunded_minor", "refunded_tax_minor"])


def _is_delivered(part: Part) -> bool:
    return part.payment.order is not None and part.payment.order.delivered_at is not None


def _product(part: Part) -> tuple[ProductType | None, Reversal]:
    """The product behind the payment (None: unapplied money), and the part in its terms."""
    payment = part.payment
    reversal = Reversal(
        order=payment.order,  # type: ignore[arg-type]  # None only where the product is None
        cause=part.cause,
        net_minor=part.amount_minor - part.tax_minor,
        net_before_minor=part.net_before_minor,
        into=part.into,
        key=part.key,
        occurred_at=clock.now(),
    )
    return (products.type_of(payment.order) if payment.order else None), reversal


def _move(part: Part, ours: LedgerAccount, amount_minor: int, name: str) -> None:
    """Move money from us to ``into``; a negative amount moves it back."""
    if amount_minor == 0:
        return
    theirs = ledger.system_account(part.into, part.payment.unit)
    source, target = (ours, theirs) if amount_minor > 0 else (theirs, ours)
    code = Code.REFUND if amount_minor > 0 else Code.REFUND_FAILED
    leg = ledger.Leg(source, target, abs(amount_minor), code, f"{part.key}:{name}")
    ledger.post([leg], group=part.cause, occurred_at=clock.now())
