"""Orders against their pay pages: delivered without payment, expired, or still to be paid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError

from billing.models import Order, OrderStatus, Payment
from billing.rails.card import checkout, objects, reconcile_reading
from billing.rails.card.reconcile_reading import RAIL
from billing.services import orders
from billing.services.rails import Finding, Repair, Tell
from common import clock

# A page may be completed up to a day after it was made.
PAGE_LASTS = timedelta(hours=25)
# What a PaymentIntent becomes whose delayed payment did not arrive.
NOT_PAID = ("requires_payment_method", "canceled")


def find(since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
    """Name open orders that were completed without payment, then those past their time."""
    made = since - PAGE_LASTS
    for stretch in reconcile_reading.stretches(reconcile_reading.sessions, made, until):
        free = [one for one in stretch.objects if checkout.is_free(one)]
        named = {str(checkout.order_id(one)): one for one in free}
        waiting = Order.objects.filter(rail=RAIL, status=OrderStatus.OPEN)
        for order_id in reconcile_reading.by("pk", waiting, _ids(named)):
            yield from _compared(waiting.get(pk=order_id), named[order_id])
        tell(len(stretch.objects))
    overdue = Order.objects.filter(rail=RAIL, status=OrderStatus.OPEN, expires_at__lt=clock.now())
    pages = overdue.exclude(external_id="").order_by("expires_at", "pk")
    for order in pages.iterator(reconcile_reading.CHUNK):
        yield from _compared(order, _session(order))
        tell(1)


def look(name: str) -> Iterator[Repair]:
    """What differs about one order now."""
    try:
        order = Order.objects.filter(rail=RAIL, pk=name, status=OrderStatus.OPEN).first()
    except ValidationError:
        return
    if order is None:
        return
    session = _session(order)
    for finding in _compared(order, session):
        yield Repair(finding, _act(order, session))


def _ids(named: dict[str, objects.Object]) -> list[str]:
    return [name for name in named if name != "None"]


def _session(order: Order) -> objects.Object | None:
    """The order's page with its charge; None when Stripe does not know it."""
    return reconcile_reading.known(lambda: objects.checkout_session(order.external_id))


def _compared(order: Order, session: objects.Object | None) -> Iterator[Finding]:
    told = _told(session)
    if told is None:
        return
    text, remedy = told
    advice = "" if session else "Look its page up at Stripe: another account, or test mode?"
    if session is not None and _payment_of(session) is not None:
        advice = "Its money lies elsewhere: look at the payment, and at what the customer got."
    yield Finding(
        "order_unknown" if session is None else "order_state_differs", str(order.pk), text,
        ours=order.get_status_display(), theirs=_standing(session), is_safe=not advice,
        remedy=remedy, advice=advice,
    )  # fmt: skip


def _told(session: objects.Object | None) -> tuple[str, str] | None:
    """What the page says that the order does not know, and what to do; None: all is well."""
    if session is None:
        return "Stripe does not know the order's pay page.", "Close the order as not paid."
    if checkout.is_free(session):
        return "Completed with nothing to pay, and nobody told us.", "Deliver it."
    if _payment_of(session) is not None:
        return "Its payment is booked, and not as this order's.", "Close the order as not paid."
    if session["payment_status"] == "paid":
        return "Paid at Stripe, and nobody told us.", "Book the payment and deliver it."
    if session["status"] == "expired":
        return "Its pay page closed unpaid, and nobody told us.", "Close it as not paid in time."
    if _has_failed(session):
        return "Its delayed payment did not arrive.", "Close it as failed."
    return None


def _payment_of(session: objects.Object) -> Payment | None:
    """Our payment of the page's money, if we have it."""
    intent_id = objects.id_of(session.get("payment_intent"))
    paid = session["payment_status"] == "paid" and intent_id is not None
    return Payment.objects.filter(rail=RAIL, external_id=intent_id).first() if paid else None


def _has_failed(session: objects.Object) -> bool:
    intent = session.get("payment_intent")
    is_complete = session["status"] == "complete" and session["payment_status"] == "unpaid"
    return is_complete and isinstance(intent, dict) and intent["status"] in NOT_PAID


def _standing(session: objects.Object | None) -> str:
    return f"{session['status']}, {session['payment_status']}" if session else "no such page"


def _act(order: Order, session: objects.Object | None) -> Callable[[], object]:
    if session is None or _payment_of(session) is not None:
        order_id: UUID = order.pk
        return lambda: orders.lapse(order_id, OrderStatus.EXPIRED)
    if _has_failed(session):
        return lambda: checkout.fail(session)
    return lambda: checkout.settle(session)
