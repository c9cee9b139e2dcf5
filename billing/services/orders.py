"""Orders: opening them, closing them with money or for free, letting them lapse."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import Customer, User
from billing.errors import RailUnavailable
from billing.models import Order, OrderStatus
from billing.services import fulfilment, products, rails
from common import clock, ids
from common.errors import Conflict, NotFound


@transaction.atomic
def open_order(
    customer: Customer,
    item: products.Sold,
    *,
    rail: str,
    placed_by: User | None = None,
    return_url: str = "",
    order_id: UUID | None = None,
) -> Order:
    """Write down what is asked for, at today's price. Raises InvalidInput if the rail is off."""
    rails.named(rail)
    return Order.objects.create(
        pk=order_id or ids.uuid7(),
        customer=customer,
        placed_by=placed_by,
        rail=rail,
        product_kind=item.kind,
        product_slug=item.slug,
        product_name=item.name,
        snapshot=item.snapshot,
        asset=item.price.asset.code,
        subtotal_minor=item.price.amount_minor,
        return_url=return_url,
    )


def pay_url(order: Order) -> str:
    """Where this open order is paid; asks the rail for a page the first time.

    Not inside a transaction: the rail calls its provider. Raises RailUnavailable, and a refusal
    that says why when the order has become pointless since it was placed.
    """
    if order.is_off_session:
        raise Conflict(_("This is charged to the saved card; it cannot be paid by hand."))
    if order.is_open:
        products.refuse_if_unwanted(order)
    if not order.pay_url:
        page = _open_pay_page(order)
        order.external_id = page.external_id
        order.pay_url = page.url
        order.expires_at = page.expires_at
        order.save(update_fields=["external_id", "pay_url", "expires_at"])
    return order.pay_url


def _open_pay_page(order: Order) -> rails.PayPage:
    try:
        return rails.of(order).open_pay_page(order)
    except RailUnavailable as error:
        if error.key_spent:
            # It would repeat that error for this key: the next click asks under another one.
            order.spent_keys += 1
            order.save(update_fields=["spent_keys"])
        raise


def lock(order_id: UUID) -> Order:
    """The order, locked until the transaction ends. Raises NotFound."""
    try:
        return (
            Order.objects.select_for_update(of=("self",))
            .select_related("customer")
            .get(pk=order_id)
        )
    except Order.DoesNotExist:
        raise NotFound(_("There is no such order.")) from None


def close(order: Order, *, discount_minor: int, tax_minor: int, paid_at: datetime) -> None:
    """Mark a locked, open order paid, with the discount and tax the provider settled on."""
    order.status = OrderStatus.PAID
    order.discount_minor = discount_minor
    order.tax_minor = tax_minor
    order.paid_at = paid_at
    order.save(update_fields=["status", "discount_minor", "tax_minor", "paid_at"])


@transaction.atomic
def complete_free(order_id: UUID, *, discount_minor: int, occurred_at: datetime) -> Order:
    """Deliver an order whose whole price was taken off, without a Payment; once per order."""
    order = lock(order_id)
    if order.is_open and discount_minor == order.subtotal_minor:
        close(order, discount_minor=discount_minor, tax_minor=0, paid_at=occurred_at)
        fulfilment.try_deliver(order)
    return order


@transaction.atomic
def lapse(order_id: UUID, status: OrderStatus, *, external_id: str = "") -> Order:
    """Mark an order that is still open as expired or failed; a paid one stays paid.

    ``external_id`` names the pay page that closed: another page than the order's own changes
    nothing, as the customer can still pay on that one.
    """
    order = lock(order_id)
    is_own = not (external_id and order.external_id) or external_id == order.external_id
    if order.is_open and is_own:
        order.status = status
        order.save(update_fields=["status"])
    return order


def is_overdue(order: Order) -> bool:
    """Whether its pay page closed a while ago, although nobody told us."""
    return order.is_open and order.expires_at is not None and order.expires_at < clock.now()
