"""What a customer ordered and paid, and how each stands today."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, OuterRef, Prefetch, QuerySet, TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from accounts.models import Customer
from billing.models import Dispute, DisputeState, Order, OrderStatus, Payment, Refund
from billing.money import CREDIT, Money, asset
from billing.titles import order_title
from common import clock
from common.errors import NotFound
from common.pagination import CursorInvalid

Row = TypeVar("Row", Order, Payment)


class State(TextChoices):
    """Where a purchase stands, as a customer would say it."""

    OPEN = "open", pgettext_lazy("a purchase", "Waiting for payment")
    OVERDUE = "overdue", pgettext_lazy("a purchase", "Not paid in time, being checked")
    UNDELIVERED = "undelivered", pgettext_lazy("a purchase", "Paid, being delivered")
    DELIVERED = "delivered", pgettext_lazy("a purchase", "Paid")
    REFUND_PENDING = "refund_pending", pgettext_lazy("a purchase", "Refund on its way")
    REFUNDED_IN_PART = "refunded_in_part", pgettext_lazy("a purchase", "Refunded in part")
    REFUNDED = "refunded", pgettext_lazy("a purchase", "Refunded")
    DISPUTED = "disputed", pgettext_lazy("a purchase", "Disputed, frozen until decided")
    CHARGED_BACK = "charged_back", pgettext_lazy("a purchase", "Charged back")
    EXPIRED = "expired", pgettext_lazy("a purchase", "Not paid in time")
    FAILED = "failed", pgettext_lazy("a purchase", "Payment failed")
    UNAPPLIED = "unapplied", pgettext_lazy("a purchase", "Received, not applied")


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order with its payments, or money that came without one: one line of a list.

    ``order`` is None for money that fits no order, ``payment`` while none has come (or none is
    needed, because the price was taken off whole).
    """

    id: uuid.UUID
    title: str
    state: State
    rail: str
    created_at: datetime
    total: Money
    refunded: Money
    order: Order | None
    payment: Payment | None

    @property
    def is_payable(self) -> bool:
        """Whether it waits for its payment and its pay page may still be open."""
        is_by_itself = self.order is not None and self.order.is_off_session
        return self.state == State.OPEN and not is_by_itself

    @property
    def discount(self) -> Money | None:
        """What the provider took off the order's price; None where there is no order."""
        return Money(self.order.discount_minor, self.order.unit) if self.order else None

    @property
    def credits(self) -> Money | None:
        """The credits it is for; None when it is for something else."""
        minor = self.order.snapshot.get("credits_minor") if self.order else None
        return None if minor is None else Money(minor, CREDIT)

    @property
    def is_plan(self) -> bool:
        """Whether it pays time of a subscription."""
        return self.order is not None and self.order.product_kind == "plan"

    @property
    def note(self) -> str:
        """Why money was not applied to what it named; empty for all else."""
        reason = self.payment.unapplied_reason if self.payment else ""
        return _(reason) if reason else ""


@dataclass(frozen=True, slots=True)
class Unapplied:
    """Money of a customer that fits no order: what lies there now, and what it came from."""

    totals: Sequence[Money]
    payments: Sequence[Purchase]


@dataclass(frozen=True, slots=True)
class Receipt:
    """One payment with what it was for and every refund of it, oldest first."""

    purchase: Purchase
    payment: Payment
    order: Order | None
    refunds: Sequence[Refund]

    @property
    def tax(self) -> Money:
        """The tax in what was paid."""
        return Money(self.payment.tax_minor, self.payment.unit)


def purchases(
    customer: Customer, *, limit: int, cursor: str | None = None
) -> tuple[list[Purchase], str | None]:
    """Orders and unapplied payments, newest first, payments loaded; and where to go on from.

    Three queries however long the list. Raises CursorInvalid.
    """
    before = _decode(cursor)
    found = [
        *map(purchase_of, _page(_orders(customer), before, limit)),
        *map(_without_order, _page(_unordered(customer), before, limit)),
    ]
    found.sort(key=lambda one: one.id, reverse=True)
    rows = found[:limit]
    return rows, str(rows[-1].id) if len(found) > limit else None


def purchase(customer: Customer, order_id: uuid.UUID) -> Purchase:
    """One order of this customer with its payments. Raises NotFound for anybody else's."""
    order = _orders(customer).filter(pk=order_id).first()
    if order is None:
        raise NotFound(_("There is no such order."))
    return purchase_of(order)


def receipt(customer: Customer, payment_id: uuid.UUID) -> Receipt:
    """One payment of this customer and its refunds. Raises NotFound for anybody else's."""
    payment = (
        Payment.objects.filter(customer=customer, pk=payment_id)
        .select_related("customer", "order")
        .first()
    )
    if payment is None:
        raise NotFound(_("There is no such payment."))
    order = payment.order
    shown = purchase(customer, order.pk) if order else _without_order(payment)
    refunds = payment.refunds.select_related("payment").order_by("pk")
    return Receipt(purchase=shown, payment=payment, order=order, refunds=list(refunds))


def newest_order_id(customer: Customer) -> uuid.UUID | None:
    """The order that was placed last, whatever became of it."""
    newest = Order.objects.filter(customer=customer).order_by("-pk")
    return newest.values_list("pk", flat=True).first()


def open_orders(customer: Customer) -> int:
    """How many orders wait for their payment and can still be paid."""
    waiting = Order.objects.filter(customer=customer, status=OrderStatus.OPEN)
    return waiting.exclude(expires_at__lt=clock.now()).count()


def unapplied(customer: Customer) -> Unapplied:
    """Money that came and fits no order, as long as any of it is left; newest first."""
    left = _unordered(customer).filter(refunded_minor__lt=F("amount_minor")).order_by("-pk")
    payments = [_without_order(payment) for payment in left]
    totals: dict[str, int] = {}
    for one in payments:
        code = one.total.asset.code
        totals[code] = totals.get(code, 0) + (one.total - one.refunded).amount_minor
    return Unapplied(
        totals=[Money(minor, asset(code)) for code, minor in sorted(totals.items())],
        payments=payments,
    )


def purchase_of(order: Order) -> Purchase:
    """The line of an order; uses its payments as they are loaded."""
    payments = list(order.payments.all())
    refunded_minor = sum(payment.refunded_minor for payment in payments)
    return Purchase(
        id=order.pk,
        title=_title(order),
        state=_order_state(order, payments),
        rail=order.rail,
        created_at=clock.moment_of(order.created_at, order.paid_at),
        total=order.total,
        refunded=Money(refunded_minor, order.unit),
        order=order,
        payment=payments[0] if payments else None,
    )


def _title(order: Order) -> str:
    if order.from_unapplied:
        return _("Extra payment, turned into %(product)s") % {"product": order_title(order)}
    return order_title(order)


def _without_order(payment: Payment) -> Purchase:
    return Purchase(
        id=payment.pk,
        title=_("Payment that fits no order"),
        state=_refund_state([payment]) or State.UNAPPLIED,
        rail=payment.rail,
        created_at=clock.moment_of(payment.settled_at, payment.occurred_at),
        total=payment.amount,
        refunded=Money(payment.refunded_minor, payment.unit),
        order=None,
        payment=payment,
    )


def _order_state(order: Order, payments: Sequence[Payment]) -> State:
    match OrderStatus(order.status):
        case OrderStatus.OPEN:
            return State.OVERDUE if _page_closed(order) else State.OPEN
        case OrderStatus.EXPIRED:
            return State.EXPIRED
        case OrderStatus.FAILED:
            return State.FAILED
        case OrderStatus.CANCELLED:
            return _refund_state(payments) or State.REFUND_PENDING
        case OrderStatus.PAID:
            delivered = State.DELIVERED if order.delivered_at else State.UNDELIVERED
            return _refund_state(payments) or delivered


def _refund_state(payments: Sequence[Payment]) -> State | None:
    """How much of what came has gone back; None when nothing has and nothing is about to."""
    disputes = [state for payment in payments for state in _frozen(payment)]
    if disputes:
        still_open = DisputeState.OPEN in disputes
        return State.DISPUTED if still_open else State.CHARGED_BACK
    came = sum(payment.amount_minor for payment in payments)
    asked = sum(payment.refunding_minor for payment in payments)
    gone = sum(payment.refunded_minor for payment in payments)
    if asked > gone:
        return State.REFUND_PENDING
    if gone == 0:
        return None
    return State.REFUNDED if gone == came else State.REFUNDED_IN_PART


def _page_closed(order: Order) -> bool:
    return order.expires_at is not None and order.expires_at < clock.now()


def _orders(customer: Customer) -> QuerySet[Order]:
    paid = Prefetch("payments", _with_frozen(Payment.objects.all()))
    return Order.objects.filter(customer=customer).prefetch_related(paid)


def _unordered(customer: Customer) -> QuerySet[Payment]:
    return _with_frozen(Payment.objects.filter(customer=customer, order=None))


def _with_frozen(payments: QuerySet[Payment]) -> QuerySet[Payment]:
    """Each with ``frozen``: the states of disputes that keep its money."""
    disputes = Dispute.objects.filter(payment=OuterRef("pk"), is_frozen=True).order_by()
    return payments.annotate(frozen=ArraySubquery(disputes.values("state")))


def _frozen(payment: Payment) -> Sequence[str]:
    """The same of a payment however it was loaded."""
    known: Sequence[str] | None = getattr(payment, "frozen", None)
    if known is not None:
        return known
    return [one.state for one in payment.disputes.all() if one.is_frozen]


def _page(rows: QuerySet[Row], before: uuid.UUID | None, limit: int) -> list[Row]:
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return list(rows.order_by("-pk")[: limit + 1])


def _decode(cursor: str | None) -> uuid.UUID | None:
    if not cursor:
        return None
    try:
        return uuid.UUID(cursor)
    except ValueError:
        raise CursorInvalid from None
