"""Charges of auto top-up: begun when credits run low, asked for outside, booked once.

The row is written first, with an open order whose key the provider is asked under; then the card
is charged outside any transaction; then the answer is booked. Whoever hears first of the outcome
(the call's own answer, a webhook, the sweep, reconciliation) books it; the others change nothing.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from accounts.models import Customer
from billing import selectors
from billing.errors import RailUnavailable
from billing.models import (
    AutoTopUp,
    AutoTopUpCharge,
    AutoTopUpState,
    AutoTopUpStop,
    ChargeState,
    EmailKind,
    OrderStatus,
    Payment,
)
from billing.money import USD
from billing.services import (
    auto_top_ups,
    charging,
    credit_packs,
    emails,
    orders,
    outgoing,
    payments,
    products,
)
from billing.services.charging import ChargeAnswer, Result
from common import clock, doorbell
from common.errors import InvalidInput

logger = logging.getLogger(__name__)

UNDER_WAY_PAUSE = timedelta(minutes=10)
# After a decline it waits this long; the one after these switches it off.
AFTER_DECLINE = (timedelta(hours=1), timedelta(hours=8), timedelta(days=1))


def low_ids(limit: int = 500) -> list[UUID]:
    """Auto top-ups that may have to buy now, those that waited longest first."""
    found = auto_top_ups.low(clock.now()).order_by("next_look_at")
    return list(found.values_list("pk", flat=True)[:limit])


def due_ids(limit: int = 100) -> list[UUID]:
    """Charges whose next attempt is due."""
    due = AutoTopUpCharge.objects.filter(
        state=ChargeState.PENDING, next_attempt_at__lte=clock.now()
    )
    return list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:limit])


def look(auto_top_up_id: UUID) -> None:
    """Buy if credits are low and the terms allow it; safe to call often and at once."""
    charge = begin(auto_top_up_id)
    if charge is not None:
        send(charge.pk)


@transaction.atomic
def begin(auto_top_up_id: UUID) -> AutoTopUpCharge | None:
    """Write down one charge, if one is called for and none is in flight; calls nobody."""
    # The customer before anything of theirs: closing an account goes in that order, too.
    mine = Customer.objects.filter(auto_top_up=auto_top_up_id, closed_at=None)
    if mine.select_for_update(no_key=True, of=("self",)).first() is None:
        return None
    row = (
        AutoTopUp.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("customer", "consent__agreed_by")
        .filter(pk=auto_top_up_id, state=AutoTopUpState.ON, next_look_at__lte=clock.now())
        .first()
    )
    if row is None or row.consent is None or row.charges.filter(auto_top_ups.in_flight()).exists():
        return None
    if not selectors.credit_balance(row.customer) < row.threshold:
        return None
    item, stop = _item(row)
    if item is None:
        auto_top_ups.stop(row.customer_id, stop)
        return None
    if row.monthly_max < selectors.charged_this_month(row.customer, row) + row.price:
        row.next_look_at = selectors.month_of(row.customer)[1]
        row.save(update_fields=["next_look_at"])
        return None
    rail = auto_top_ups.require_rail()
    order = orders.open_order(row.customer, item, rail=rail.name, placed_by=row.consent.agreed_by)
    now = clock.now()
    return AutoTopUpCharge.objects.create(
        auto_top_up=row,
        consent=row.consent,
        order=order,
        requested_at=now,
        next_attempt_at=now,
    )


def _item(row: AutoTopUp) -> tuple[products.Sold | None, AutoTopUpStop]:
    """What is bought, at no more than was agreed; or why it cannot be bought any more."""
    rail = charging.rail()
    if rail is None or rail.why_not_charging:
        return None, AutoTopUpStop.NOT_OFFERED
    try:
        pack = auto_top_ups.pack_of(row.package, row.price_minor)
        item = credit_packs.sold(pack, USD)
    except InvalidInput:
        return None, AutoTopUpStop.PRICE_CHANGED
    if row.price < item.price:
        return None, AutoTopUpStop.PRICE_CHANGED
    return replace(item, snapshot=item.snapshot | {"off_session": True}), AutoTopUpStop.BY_OWNER


def send(charge_id: UUID) -> None:
    """Charge the card, or find out what an earlier attempt came to; safe to call twice.

    Every attempt but the first is looked up before it is sent, because an earlier one may have
    gone through. The key changes only when the provider used it up or may have forgotten it.
    """
    charge = _claim(charge_id)
    if charge is None:
        return
    try:
        answer = _ask(charge)
    except RailUnavailable as error:
        _postpone(charge, error)
        return
    except Exception as error:
        # A bug or a wrong key, say: shown with the charge, and not tried again every second.
        _postpone(charge, error)
        raise
    if answer is None:
        cancel(charge.pk)
    else:
        record(charge.order_id, answer)


def _ask(charge: AutoTopUpCharge) -> ChargeAnswer | None:
    """What became of it; None when it is not wanted any more, and nothing had been charged."""
    rail = charging.rail_of(charge.order)
    if charge.attempts > 1:
        found = rail.find_charge(charge.order, charge.requested_at)
        if found is not None:
            return found
    if _is_still_wanted(charge):
        return rail.charge_saved(charge.order)
    if charge.attempts > 1 and outgoing.tried_for(charge) < outgoing.LEASE:
        raise RailUnavailable  # an earlier call may still be at work over there
    return None


def _is_still_wanted(charge: AutoTopUpCharge) -> bool:
    """Whether it would be begun now as it was then: it may have waited for hours.

    One of an earlier month, consent or price than today's is given up; the next look begins anew.
    """
    row = AutoTopUp.objects.select_related("customer").get(pk=charge.auto_top_up_id)
    return (
        row.is_on
        and row.consent_id == charge.consent_id
        and charge.order.total <= row.price
        and selectors.month_of(row.customer)[0] <= charge.requested_at
        and selectors.charged_this_month(row.customer, row) <= row.monthly_max
        and selectors.credit_balance(row.customer) < row.threshold
    )


@transaction.atomic
def record(order_id: UUID, answer: ChargeAnswer) -> Payment | None:
    """Book what became of the charge of an order, once; the payment, if it was paid.

    None as well for orders that are no auto top-up's.
    """
    known = AutoTopUpCharge.objects.filter(order=order_id).first()
    if known is None:
        return None
    payment = None
    if answer.charge is not None:
        payment = payments.settle(answer.charge)
        if answer.fee_minor is not None:
            payments.book_fee(payment.pk, answer.fee_minor)
    row = AutoTopUp.objects.select_for_update().get(pk=known.auto_top_up_id)
    charge = AutoTopUpCharge.objects.select_for_update().get(pk=known.pk)
    if payment is not None:
        _paid(row, charge, answer, payment)
    elif charge.state == ChargeState.PENDING and answer.result == Result.DECLINED:
        _declined(row, charge, answer)
    elif charge.state == ChargeState.PENDING:
        charge.external_id = answer.external_id
        charge.next_attempt_at = clock.now() + UNDER_WAY_PAUSE
        charge.save(update_fields=["external_id", "next_attempt_at"])
    return payment


@transaction.atomic
def cancel(charge_id: UUID) -> None:
    """It was switched off, or is not wanted any more, before anything was charged."""
    charge = AutoTopUpCharge.objects.select_for_update().get(pk=charge_id)
    if charge.state == ChargeState.PENDING:
        orders.lapse(charge.order_id, OrderStatus.EXPIRED)
        _close(charge, ChargeState.CANCELLED)


def _paid(row: AutoTopUp, charge: AutoTopUpCharge, answer: ChargeAnswer, payment: Payment) -> None:
    if charge.state == ChargeState.PAID:
        return
    _close(charge, ChargeState.PAID, answer)
    row.declines = 0
    row.card = answer.card or row.card
    row.save(update_fields=["declines", "card"])
    emails.queue(
        kind=EmailKind.AUTO_TOP_UP_CHARGED,
        customer=row.customer_id,
        key=f"auto_top_up_charged:{payment.pk}",
        context={"payment": str(payment.pk)},
    )
    doorbell.ring(auto_top_ups.LOOK_TASK, str(row.pk))


def _declined(row: AutoTopUp, charge: AutoTopUpCharge, answer: ChargeAnswer) -> None:
    orders.lapse(charge.order_id, OrderStatus.FAILED)
    _close(charge, ChargeState.DECLINED, answer)
    if row.state != AutoTopUpState.ON:
        return
    row.declines += 1
    row.save(update_fields=["declines"])
    if answer.no_card:
        auto_top_ups.stop(row.customer_id, AutoTopUpStop.NO_CARD)
    elif answer.is_final or row.declines > len(AFTER_DECLINE):
        auto_top_ups.stop(row.customer_id, AutoTopUpStop.DECLINED)
    else:
        row.next_look_at = clock.now() + AFTER_DECLINE[row.declines - 1]
        row.save(update_fields=["next_look_at"])
        emails.queue(
            kind=EmailKind.AUTO_TOP_UP_FAILED,
            customer=row.customer_id,
            key=f"auto_top_up_failed:{charge.pk}",
            context={
                "amount_minor": str(charge.order.total.amount_minor),
                "asset": charge.order.asset,
                "reason": "needs_you" if answer.needs_owner else "declined",
            },
        )


def _close(charge: AutoTopUpCharge, state: ChargeState, answer: ChargeAnswer | None = None) -> None:
    charge.state = state
    charge.closed_at = clock.now()
    charge.next_attempt_at = None
    if answer is not None:
        charge.external_id = answer.external_id
        charge.decline_code = answer.code[:60]
        charge.decline_message = answer.message[:300]
    charge.save(
        update_fields=[
            "state",
            "closed_at",
            "next_attempt_at",
            "external_id",
            "decline_code",
            "decline_message",
        ]
    )


@transaction.atomic
def _claim(charge_id: UUID) -> AutoTopUpCharge | None:
    charge = (
        AutoTopUpCharge.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("order__customer", "auto_top_up")
        .filter(pk=charge_id, state=ChargeState.PENDING, next_attempt_at__lte=clock.now())
        .first()
    )
    if charge is None:
        return None
    charge.save(update_fields=outgoing.lease(charge))
    return charge


@transaction.atomic
def _postpone(charge: AutoTopUpCharge, error: Exception) -> None:
    if outgoing.needs_new_key(charge, error):
        charge.order.spent_keys += 1
        charge.order.save(update_fields=["spent_keys"])
    changed = {name: getattr(charge, name) for name in outgoing.postpone(charge, error)}
    # A webhook may have decided it meanwhile: then there is nothing to postpone.
    AutoTopUpCharge.objects.filter(pk=charge.pk, state=ChargeState.PENDING).update(**changed)
    logger.warning(
        "auto top-up postponed", extra={"charge_id": str(charge.pk), "error": str(error)}
    )
