"""The wallet rail's books are our own ledger: every payment a debit, every refund its return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from billing.models import Order, OrderStatus, Payment, Refund, RefundState, Transfer
from billing.money import CREDIT, Money
from billing.rails.wallet import paying, refunds
from billing.services import refunds as refund_rows
from billing.services.rails import Finding, Repair, Tell
from common import clock

Rows = QuerySet[Any]
Compare = Callable[[Any], Iterator[Repair]]

CHECK = "Both sides are our own ledger: find out with check_ledger what was tampered with."


def find(since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name payments without their debit, debits without a payment, refunds and orders undone."""
    payments = Payment.objects.filter(
        rail=paying.RAIL, occurred_at__gte=since, occurred_at__lt=until
    )
    # Stamped by the database, whose time a sandbox does not move.
    stamped_since = since - max(clock.ahead(), timedelta(0))
    waiting = Refund.objects.filter(payment__rail=paying.RAIL, created_at__gte=stamped_since)
    overdue = Order.objects.filter(
        rail=paying.RAIL, status=OrderStatus.OPEN, expires_at__lt=clock.now()
    )
    kinds: tuple[tuple[Rows, Compare], ...] = (
        (payments.order_by("pk"), _payment),
        (_debits(since, until), _debit),
        (waiting.select_related("payment").order_by("pk"), _refund),
        (overdue.order_by("expires_at"), _order),
    )
    for rows, compare in kinds:
        for row in rows.iterator(500):
            yield from (one.finding for one in compare(row))
            tell(1)


def look_again(kind: str, subject: str) -> Repair | None:
    """A difference as it is now; None when there is none."""
    payments = (_of(Payment.objects.filter(rail=paying.RAIL), subject), _payment)
    refunded = (_of(Refund.objects.filter(payment__rail=paying.RAIL), subject), _refund)
    looks: dict[str, tuple[Rows, Compare]] = {
        "debit_missing": payments,
        "amount_differs": payments,
        "payment_missing": (Transfer.objects.filter(key=paying.spend_key(subject)), _debit),
        "refund_state_differs": refunded,
        "units_missing": refunded,
        "order_overdue": (_of(Order.objects.filter(rail=paying.RAIL), subject), _order),
    }
    rows, compare = looks.get(kind, (Order.objects.none(), _order))
    found = (one for row in rows for one in compare(row) if one.finding.kind == kind)
    return next(found, None)


def _of(rows: Rows, pk: str) -> Rows:
    try:
        return rows.filter(pk=UUID(pk))
    except ValueError:
        return rows.none()


def _debits(since: datetime, until: datetime) -> QuerySet[Transfer]:
    """What left wallets to pay orders."""
    return Transfer.objects.filter(
        target__role=f"clearing:{paying.RAIL}",
        key__startswith="order:",
        occurred_at__gte=since,
        occurred_at__lt=until,
    ).order_by("pk")


def _payment(payment: Payment) -> Iterator[Repair]:
    debit = Transfer.objects.filter(key=paying.spend_key(payment.external_id)).first()
    if debit is None:
        yield _unrepairable(
            "debit_missing", str(payment.pk), "Paid, and no units left the wallet for it.",
            str(payment.amount), "no debit",
        )  # fmt: skip
    elif debit.amount_minor != payment.amount_minor:
        yield _unrepairable(
            "amount_differs", str(payment.pk), "Other units left than were paid.",
            str(payment.amount), str(Money(debit.amount_minor, CREDIT)),
        )  # fmt: skip


def _debit(debit: Transfer) -> Iterator[Repair]:
    order_id = debit.key.split(":")[1]
    if not Payment.objects.filter(rail=paying.RAIL, external_id=order_id).exists():
        yield _unrepairable(
            "payment_missing", order_id, "Units left the wallet, and no payment says for what.",
            "no payment", str(Money(debit.amount_minor, CREDIT)),
        )  # fmt: skip


def _refund(refund: Refund) -> Iterator[Repair]:
    """A crash between the units' return and its booking; the sweeper would find it, too."""
    answer = refunds.find(refund)
    is_done = refund.state == RefundState.SUCCEEDED
    if is_done and answer is None:
        yield _unrepairable(
            "units_missing", str(refund.pk), "Refunded, and no units went back to the wallet.",
            str(refund.amount), "nothing went back",
        )  # fmt: skip
    elif not is_done and answer is not None:
        told = answer
        finding = Finding(
            "refund_state_differs", str(refund.pk), "The units went back, and it is not booked.",
            ours=refund.get_state_display(), theirs=f"{refund.amount} went back", is_safe=True,
            remedy="Book the refund.",
        )  # fmt: skip
        yield Repair(finding, lambda: refund_rows.record(refund.pk, told))


def _order(order: Order) -> Iterator[Repair]:
    if order.status == OrderStatus.OPEN and order.expires_at and order.expires_at < clock.now():
        finding = Finding(
            "order_overdue", str(order.pk), "Its time to be paid is over.",
            ours=order.get_status_display(), theirs=f"until {order.expires_at:%Y-%m-%d %H:%M} UTC",
            is_safe=True, remedy="Close it as not paid in time.",
        )  # fmt: skip
        yield Repair(finding, lambda: paying.lapse_if_overdue(order))


def _unrepairable(kind: str, subject: str, detail: str, ours: str, theirs: str) -> Repair:
    return Repair(Finding(kind, subject, detail, ours=ours, theirs=theirs, advice=CHECK))
