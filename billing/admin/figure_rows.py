"""What each figure is made of, row by row, read as it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from accounts.models import Customer
from billing.admin.figure_cells import Ref, Row
from billing.models import (
    Dispute,
    EventState,
    InboundEvent,
    LedgerAccount,
    Lot,
    Order,
    Payment,
    Refund,
    Subscription,
    SubscriptionPeriod,
    Transfer,
)
from billing.money import Money
from billing.selectors import liability, mrr, takings
from billing.selectors.revenue import revenue_rows
from billing.selectors.spans import Span

_BATCH = 500
_DEFERRED_ON = {"lot": Lot, "period": SubscriptionPeriod, "order": Order}


def of_revenue(span: Span, limit: int | None) -> Iterator[Row]:
    """Transfers of the ledger."""
    for row in revenue_rows(span, limit=limit):
        order = Ref(Order, row.order_id, row.product) if row.order_id else row.product
        key = Ref(Transfer, row.transfer_id, row.key)
        yield row.occurred_at, row.amount, order, row.rail or "other", row.role, key


def of_received(span: Span, limit: int | None) -> Iterator[Row]:
    """Payments."""
    for one in takings.payments_of(span)[:limit].iterator(_BATCH):
        product = one.order.product_name if one.order else one.unapplied_reason or "unapplied"
        yield (
            one.occurred_at, Ref(Payment, one.pk, one.external_id), _payer(one), product, one.rail,
            one.amount, Money(one.tax_minor, one.unit), Money(one.refunded_minor, one.unit),
        )  # fmt: skip


def of_refunds(span: Span, limit: int | None) -> Iterator[Row]:
    """Refunds."""
    for one in takings.refunds_of(span)[:limit].iterator(_BATCH):
        payment = Ref(Payment, one.payment_id, one.payment.external_id)
        reason = Ref(Refund, one.pk, one.reason)
        yield one.booked_at, reason, payment, _payer(one.payment), one.payment.rail, one.amount


def of_disputes(span: Span, limit: int | None) -> Iterator[Row]:
    """Disputes."""
    for one in takings.disputes_of(span)[:limit].iterator(_BATCH):
        yield (
            one.opened_at, Ref(Dispute, one.pk, one.external_id), _payer(one.payment), one.rail,
            one.reason, one.get_state_display(), one.amount,
        )  # fmt: skip


def of_failed(span: Span, limit: int | None) -> Iterator[Row]:
    """Orders whose payment failed."""
    for one in takings.failed_orders_of(span)[:limit].iterator(_BATCH):
        order = Ref(Order, one.pk, one.product_name)
        yield one.created_at, order, _customer(one.customer), one.rail, one.total


def of_failing(_span: Span, limit: int | None) -> Iterator[Row]:
    """Subscriptions that could not be charged."""
    for one in takings.failing_subscriptions()[:limit].iterator(_BATCH):
        yield (
            one.past_due_since, Ref(Subscription, one.pk, str(one.pk)), _customer(one.customer),
            one.plan_slug, one.get_status_display(), one.rail, one.price,
        )  # fmt: skip


def of_mrr(span: Span, limit: int | None) -> Iterator[Row]:
    """Subscriptions and what they are worth a month."""
    for one in mrr.mrr_rows(span, limit=limit):
        yield (
            Ref(Subscription, one.subscription_id, str(one.subscription_id)),
            Ref(Customer, one.customer_id, one.email), one.plan_slug, one.interval, one.since,
            one.monthly,
        )  # fmt: skip


def of_movements(span: Span, limit: int | None) -> Iterator[Row]:
    """Customers whose worth changed."""
    for one in mrr.movement_rows(span, limit=limit):
        customer = Ref(Customer, one.customer_id, one.email)
        yield customer, one.kind, one.before, one.after, one.after - one.before


def of_subscribers(span: Span, limit: int | None) -> Iterator[Row]:
    """Customers who are worth something a month, and how much."""
    rows = mrr.movement_rows(span, everybody=True)
    found = (row for row in rows if row.after)
    for place, one in enumerate(found):
        if limit is not None and place >= limit:
            return
        yield Ref(Customer, one.customer_id, one.email), one.after


def of_conversion(span: Span, limit: int | None) -> Iterator[Row]:
    """Customers who joined, and since when they have paid for a plan."""
    for one in mrr.joined_rows(span, limit=limit):
        yield Ref(Customer, one.customer_id, one.email), one.joined_at, one.paid_since


def of_credits(_span: Span, limit: int | None) -> Iterator[Row]:
    """Wallets."""
    for one in liability.wallet_rows(limit=limit):
        account = Ref(LedgerAccount, one.account_id, f"wallet {one.account_id}")
        customer = Ref(Customer, one.customer_id, one.email)
        yield account, customer, one.total, one.promotional, one.next_expiry_at


def of_deferred(_span: Span, limit: int | None) -> Iterator[Row]:
    """Lots, periods and undelivered orders."""
    for one in liability.deferred_rows(limit=limit):
        yield Ref(_DEFERRED_ON[one.kind], one.pk, f"{one.kind} {one.pk}"), one.about, one.amount


def of_events(_span: Span, limit: int | None) -> Iterator[Row]:
    """Events that wait or fail, the oldest first."""
    waiting = InboundEvent.objects.filter(state__in=[EventState.NEW, EventState.FAILED])
    found = waiting.defer("payload", "mirror_error").order_by("received_at", "pk")
    for one in found[:limit].iterator(_BATCH):
        event = Ref(InboundEvent, one.pk, one.external_id)
        yield one.received_at, event, one.kind, one.rail, one.get_state_display(), one.attempts


def _payer(payment: Payment) -> Ref | str:
    return _customer(payment.customer) if payment.customer else "unknown"


def _customer(customer: Customer) -> Ref:
    return Ref(Customer, customer.pk, customer.email)
