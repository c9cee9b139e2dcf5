"""Tasks are doorbells: the database is the queue. Each takes ids and is safe to run twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

from celery import shared_task
from django.db import OperationalError

from billing import ledger
from billing.models import Order
from billing.selectors import audit
from billing.services import (
    auto_top_up_charges,
    auto_top_ups,
    cancellations,
    customers_at_rails,
    dunning,
    email_reminders,
    emails,
    fulfilment,
    inbox,
    invoice_drafts,
    invoices,
    outbox,
    overdue,
    plan_changes,
    plans,
    prepaid,
    rails,
    reconciliations,
    refunds,
    spend_caps,
    subscription_periods,
    subscriptions,
)
from common import clock, doorbell
from common.errors import Conflict

logger = logging.getLogger(__name__)

ROUNDS = 200
# A reconciliation of a busy month takes its time; it is alone by a lock, however often it is rung.
RECONCILE_SECONDS = 4 * 3600


@shared_task(
    name=inbox.HANDLE_TASK, acks_late=True, autoretry_for=(OperationalError,), max_retries=5
)
def handle_inbound_event(event_id: int) -> None:
    """Act on one stored event."""
    inbox.handle(event_id)


@shared_task(
    name=refunds.SEND_TASK, acks_late=True, autoretry_for=(OperationalError,), max_retries=5
)
def send_refund(refund_id: str) -> None:
    """Send one requested refund."""
    refunds.send(UUID(refund_id))


@shared_task(
    name=subscriptions.STOP_TASK, acks_late=True, autoretry_for=(OperationalError,), max_retries=5
)
def stop_subscription(subscription_id: str) -> None:
    """Tell the rail to charge nothing more for one subscription."""
    cancellations.stop(UUID(subscription_id))


@shared_task(name=invoice_drafts.ISSUE_TASK, acks_late=True)
def issue_invoices() -> None:
    """Write and number the documents that are due."""
    _until_none(invoices.issue_due)


@shared_task(name="billing.issue_late_invoices", acks_late=True)
def issue_late_invoices() -> None:
    """The same for payments of any age: one that fitted nothing may have become something."""
    _until_none(partial(invoices.issue_due, look_back_seconds=None))


@shared_task(name="billing.refresh_order", acks_late=True)
def refresh_order(order_id: str) -> None:
    """Ask the provider about one open order: its webhook is late, or never will come."""
    order = Order.objects.get(pk=UUID(order_id))
    if order.is_open:
        rails.of(order).refresh(order)


@shared_task(name="billing.sweep", acks_late=True)
def sweep() -> None:
    """Do what nobody was rung for: events, deliveries, refunds and holds that are due."""
    _each(inbox.due_ids(), inbox.handle)
    _each(fulfilment.undelivered_ids(), fulfilment.deliver)
    _each(refunds.due_ids(), refunds.send)
    _each(cancellations.to_stop_ids(), cancellations.stop)
    _apart(issue_invoices)
    ledger.expire_holds(occurred_at=clock.now())
    inbox.mirror_missing()
    for run_id in reconciliations.waiting_ids():
        doorbell.ring(reconciliations.RUN_TASK, str(run_id))


@shared_task(
    name=auto_top_ups.LOOK_TASK, acks_late=True, autoretry_for=(OperationalError,), max_retries=5
)
def look_at_auto_top_up(auto_top_up_id: str) -> None:
    """Buy credits for one customer, if they run low."""
    auto_top_up_charges.look(UUID(auto_top_up_id))


@shared_task(name="billing.top_up", acks_late=True)
def top_up() -> None:
    """The same for all who run low, and what is still under way of earlier charges."""
    _each(auto_top_up_charges.due_ids(), auto_top_up_charges.send)
    _each(auto_top_up_charges.low_ids(), auto_top_up_charges.look)


@shared_task(name="billing.create_missing_rail_customers", acks_late=True)
def create_missing_rail_customers() -> None:
    """Make every new customer known to every rail."""
    customers_at_rails.create_missing()


@shared_task(
    name=spend_caps.TELL_TASK, acks_late=True, autoretry_for=(OperationalError,), max_retries=5
)
def tell_spend_cap(customer_id: str, resets_at: str) -> None:
    """Tell one owner that the cap of the month that ends then was in the way."""
    spend_caps.tell(UUID(customer_id), datetime.fromisoformat(resets_at))


@shared_task(name="billing.tell_spend_caps", acks_late=True)
def tell_spend_caps() -> None:
    """Tell every owner whose cap is used up; each once a month."""
    spend_caps.tell_used_up()


@shared_task(
    name=emails.SEND_TASK, acks_late=True, autoretry_for=(OperationalError,), max_retries=5
)
def send_email(email_id: str) -> None:
    """Send one e-mail."""
    outbox.send(UUID(email_id))


@shared_task(name="billing.send_emails", acks_late=True)
def send_emails() -> None:
    """Send what nobody was rung for, and what failed and is due again."""
    _each(outbox.due_ids(), outbox.send)


@shared_task(name="billing.write_reminders", acks_late=True)
def write_reminders() -> None:
    """Write the reminders that are due; the next sweep of e-mails sends them."""
    email_reminders.write_due()


@shared_task(name="billing.expire_lots", acks_late=True)
def expire_lots() -> None:
    """Expire what is past its day, and book what lots have earned since."""
    _until_done(ledger.expire)
    _until_done(ledger.recognise)


@shared_task(name="billing.keep_subscriptions", acks_late=True)
def keep_subscriptions() -> None:
    """End and open again what is due, remind and suspend who has not paid, book what was earned."""
    _apart(prepaid.end_over)
    _each(overdue.ids(), overdue.catch_up)
    _apart(dunning.run)
    _apart(plans.thaw_over)
    _apart(plan_changes.settle_left_over)
    _apart(partial(_until_none, subscription_periods.recognise_due))


@shared_task(
    name="billing.reconcile_rails",
    acks_late=True,
    soft_time_limit=RECONCILE_SECONDS,
    time_limit=RECONCILE_SECONDS + 60,
)
def reconcile_rails(hours: int = 48) -> None:
    """Read every provider's own books of the last days and do what a lost message should have."""
    since = clock.now() - timedelta(hours=hours)
    for rail in rails.available():
        with suppress(Conflict):  # somebody runs it by hand at this moment
            reconciliations.run(rail.name, since)


@shared_task(
    name=reconciliations.RUN_TASK,
    acks_late=True,
    soft_time_limit=RECONCILE_SECONDS,
    time_limit=RECONCILE_SECONDS + 60,
)
def run_reconciliation(run_id: str) -> None:
    """Carry out a reconciliation that was asked for; the sweep rings again if one is running."""
    with suppress(Conflict):
        reconciliations.carry_out(UUID(run_id))


@shared_task(name="billing.snapshot_accounts", acks_late=True)
def snapshot_accounts() -> None:
    """Keep the system accounts' balances as of yesterday."""
    yesterday = clock.now() - timedelta(days=1)
    ledger.snapshot(yesterday.replace(hour=0, minute=0, second=0, microsecond=0))


@shared_task(name="billing.check_ledger", acks_late=True)
def check_ledger() -> int:
    """Add everything up again and log each difference as an error; returns how many there are."""
    found = audit.differences()
    for difference in found:
        logger.error("the ledger does not add up", extra={"difference": str(difference)})
    return len(found)


Id = TypeVar("Id", int, UUID)


def _each(due: list[Id], act: Callable[[Id], object]) -> None:
    """Act on one after another; one that fails is logged and does not hold up the rest."""
    for one in due:
        try:
            act(one)
        except Exception:
            logger.exception("left to the next sweep", extra={"id": str(one)})


def _apart(act: Callable[[], object]) -> None:
    """Do one part of a task; if it fails, that is logged and the other parts are done."""
    try:
        act()
    except Exception:
        logger.exception("left to the next run")


def _until_none(batch: Callable[[], int]) -> None:
    """Run batches until one finds nothing."""
    for _ in range(ROUNDS):
        if batch() == 0:
            break


class _Batch(Protocol):
    def __call__(self, *, occurred_at: datetime) -> int: ...


def _until_done(batch: _Batch) -> None:
    """Run batches until one finds nothing; what a busy hour leaves over waits for the next."""
    for _ in range(ROUNDS):
        if batch(occurred_at=clock.now()) == 0:
            break
