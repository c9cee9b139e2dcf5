"""Delivery: a paid order becomes what was bought. What fails is kept, shown and tried again."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import transaction

from billing.models import Order, OrderStatus
from billing.services import notifiers, products
from common import clock

logger = logging.getLogger(__name__)


def try_deliver(order: Order) -> bool:
    """Deliver a locked, paid order in a savepoint; on failure note why and leave it to the sweeper.

    Delivering again changes nothing: each product type delivers once per order.
    """
    if order.delivered_at is not None:
        return True
    now = clock.now()
    order.delivery_attempts += 1
    try:
        with transaction.atomic():
            products.type_of(order).deliver(order, at=now)
    except Exception as error:
        # Whatever went wrong, the money is here and must not be lost with it.
        logger.exception("delivery failed", extra={"order_id": str(order.pk)})
        order.delivery_error = f"{type(error).__name__}: {error}"[:2000]
        order.save(update_fields=["delivery_attempts", "delivery_error"])
        return False
    order.delivered_at = now
    order.delivery_error = ""
    order.save(update_fields=["delivered_at", "delivery_attempts", "delivery_error"])
    notifiers.tell("order_delivered", order)
    return True


@transaction.atomic
def deliver(order_id: UUID) -> bool:
    """Try one paid order again; False when it failed again. Skips one that is busy."""
    order = (
        Order.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("customer")
        .filter(pk=order_id, status=OrderStatus.PAID)
        .first()
    )
    return order is not None and try_deliver(order)


def undelivered_ids(limit: int = 100) -> list[UUID]:
    """Paid orders that wait for their delivery, those tried least first."""
    waiting = Order.objects.filter(status=OrderStatus.PAID, delivered_at=None)
    return list(
        waiting.order_by("delivery_attempts", "paid_at").values_list("pk", flat=True)[:limit]
    )
