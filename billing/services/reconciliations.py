"""Reconciliations: what a look into a rail's own books finds, kept, repaired and shown.

The rail reads and names; what is safe is repaired on the way, so that the next thing is compared
with books in which it has happened. The rest waits for staff, who repair it with a reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from accounts.models import User
from billing.errors import RailUnavailable
from billing.models import (
    ItemState,
    ReconciliationItem,
    ReconciliationRun,
    RunOutcome,
    StaffAction,
    Transfer,
)
from billing.services import rails, staff
from billing.services import reconciliation_items as items
from billing.services.rails import Rail, Repair, Tell
from billing.services.rehearsals import rehearse
from billing.services.staff import Act, Detail, Note
from common import clock, doorbell
from common.errors import BillingError, Conflict, InvalidInput

logger = logging.getLogger(__name__)

RUN_TASK = "billing.run_reconciliation"
# The provider's clock may be ahead of ours.
SKEW = timedelta(minutes=1)
LONGEST = timedelta(days=370)
UNRUNG = timedelta(seconds=30)

Mode = Literal["safe", "none"]


def run(
    rail: str,
    since: datetime,
    until: datetime | None = None,
    *,
    repair: Mode = "safe",
    by: User | None = None,
    tell: Tell = lambda _: None,
) -> ReconciliationRun:
    """Compare a rail's books with its provider's, keep what differs, repair what is safe.

    ``until`` is now by default: then what earlier runs left is looked at again, and the balance
    compared. A provider that cannot be reached, or an error, ends the run and is its outcome.
    Raises Conflict while another run of the rail is at it.
    """
    with _alone(rail):
        opened = _open(rail, since, until, repair=repair, by=by)
        return _carry_out(opened, tell)


def ask(
    note: Note, rail: str, since: datetime, until: datetime | None, *, repair: Mode
) -> StaffAction:
    """Have a worker run a reconciliation, once per key of the note; it is logged with its run."""

    def do() -> Detail:
        opened = _open(rail, since, until, repair=repair, by=note.staff)
        doorbell.ring(RUN_TASK, str(opened.pk))
        return {"run": str(opened.pk)}

    asked = {"since": since.isoformat(), "until": str(until or "now"), "repair": repair}
    return staff.once(
        note, Act.RECONCILE, subject=f"rail:{rail}", customer=None, asked=asked, do=do
    )


def carry_out(run_id: UUID, *, tell: Tell = lambda _: None) -> None:
    """Do what a waiting run asks for, once. Raises Conflict while the rail is being compared."""
    found = ReconciliationRun.objects.get(pk=run_id)
    with _alone(found.rail):
        found.refresh_from_db()
        if found.outcome == RunOutcome.WAITING:
            _carry_out(found, tell)


def waiting_ids() -> list[UUID]:
    """Runs that were asked for and that nobody has begun, although the bell was rung."""
    asked = ReconciliationRun.objects.filter(outcome=RunOutcome.WAITING)
    due = asked.filter(asked_at__lt=Now() - UNRUNG).order_by("asked_at")
    return list(due.values_list("pk", flat=True)[:10])


def plan(item: ReconciliationItem) -> Repair | None:
    """What repairing an item would do now; None when nothing differs any more.

    Not inside a transaction: the rail asks its provider. Raises Conflict when it is not open or
    cannot be repaired here, and RailUnavailable.
    """
    if not item.is_open:
        raise Conflict("Nothing is left to do here.")
    found = rails.named(item.run.rail).look_again(item.kind, item.subject)
    if found is not None and found.act is None:
        raise Conflict(f"This cannot be repaired here. {found.finding.advice}".strip())
    return found


def preview(item: ReconciliationItem) -> tuple[Repair | None, list[Transfer]]:
    """What repairing an item would do now, and what the ledger would book; nothing of it stays.

    Raises what ``plan`` does, and Conflict when the repair would fail.
    """
    found = plan(item)
    if found is None or found.act is None:
        return found, []
    act = found.act

    def rehearsed() -> list[Transfer]:
        if not connection.savepoint_ids:  # what others book meanwhile is not shown as ours
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        newest = Transfer.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        _try(act)
        booked = Transfer.objects.filter(pk__gt=newest).order_by("pk")
        return list(booked.select_related("source__owner", "target__owner"))

    return found, rehearse(rehearsed)


def repair(note: Note, item: ReconciliationItem) -> StaffAction:
    """Put one difference right and log it, both or neither, once per key of the note.

    Afterwards it is looked at once more; what still differs waits on. Raises what ``plan`` does.
    """
    found = None if staff.done(note.key) else plan(item)
    reason = f"{note.staff}: {note.reason.strip()}"

    def do() -> Detail:
        locked = ReconciliationItem.objects.select_for_update().get(pk=item.pk)
        if not locked.is_open:
            raise Conflict("Nothing is left to do here.")
        if found is None or found.act is None:
            items.close(locked, ItemState.GONE, reason)
            return {"done": "nothing differed any more"}
        _try(found.act)
        items.close(locked, ItemState.REPAIRED, reason)
        return {
            "done": found.finding.remedy,
            "ours": found.finding.ours,
            "theirs": found.finding.theirs,
        }

    action = staff.once(
        note,
        Act.REPAIR,
        subject=f"difference:{item.pk}",
        customer=None,
        asked={"kind": item.kind, "subject": item.subject},
        do=do,
    )
    item.refresh_from_db()
    if item.state == ItemState.REPAIRED:
        items.verify(item, rails.named(item.run.rail))
    items.recount(item.run)
    return action


def _try(act: Callable[[], object]) -> None:
    """Do it, or say why not; what it had done by then is taken back with it."""
    try:
        with transaction.atomic():
            act()
    except BillingError:
        raise
    except Exception as error:
        logger.exception("not repaired")
        raise Conflict(f"This repair fails: {type(error).__name__}: {error}") from error


def _open(
    rail: str, since: datetime, until: datetime | None, *, repair: Mode, by: User | None
) -> ReconciliationRun:
    """A run that waits to be carried out. Raises InvalidInput for a time that is none."""
    rails.named(rail)
    until = until or clock.now() + SKEW
    if not timedelta(0) < until - since <= LONGEST:
        raise InvalidInput("Give a time that begins before it ends, a year at most.")
    return ReconciliationRun.objects.create(
        rail=rail, since=since, until=until, repairs=repair == "safe", started_by=by
    )


def _carry_out(found: ReconciliationRun, tell: Tell) -> ReconciliationRun:
    _bury_the_dead(found.rail)
    found.outcome = RunOutcome.RUNNING
    found.started_at = clock.now()
    found.save(update_fields=["outcome", "started_at"])
    _end(found, *_compare(found, tell))
    return found


def _compare(found: ReconciliationRun, tell: Tell) -> tuple[RunOutcome, str]:
    """The whole comparison; how it ended, and why if it was broken off."""

    def count(things: int) -> None:
        found.compared_count += things
        tell(found.compared_count)

    try:
        rail = rails.named(found.rail)
        for finding in rail.reconcile(found.since, found.until, count):
            items.take(found, rail, finding)
        if found.started_at is not None and found.until >= found.started_at:
            _look_at_what_was_left(found, rail)
            _compare_balance(found, rail)
    except RailUnavailable as refusal:
        logger.warning("reconciliation broken off", extra={"rail": found.rail})
        return RunOutcome.UNREACHABLE, str(refusal)
    except Exception as error:
        logger.exception("reconciliation broken off", extra={"rail": found.rail})
        return RunOutcome.FAILED, f"{type(error).__name__}: {error}"
    named = found.items.exclude(state=ItemState.GONE).exists()
    return (RunOutcome.DIFFERENCES if named else RunOutcome.CLEAN), ""


def _end(found: ReconciliationRun, outcome: RunOutcome, note: str) -> None:
    found.outcome = outcome
    found.note = note[:2000]
    found.finished_at = clock.now()
    found.save(update_fields=["outcome", "note", "finished_at", "compared_count"])
    items.recount(found)


def _look_at_what_was_left(found: ReconciliationRun, rail: Rail) -> None:
    """What earlier runs named and this one did not: gone by now, or still there."""
    earlier = items.waiting(found.rail).exclude(run=found).order_by("pk")
    for item in earlier.exclude(kind__startswith="balance_").iterator(500):
        still = rail.look_again(item.kind, item.subject)
        if still is None:
            items.close(item, ItemState.GONE, "it does not differ any more")
            items.recount(item.run)
        else:
            items.take(found, rail, still.finding)
        found.compared_count += 1


def _compare_balance(found: ReconciliationRun, rail: Rail) -> None:
    """The sums, when every single thing agrees; a difference of one item is not named twice."""
    waiting = items.waiting(found.rail)
    if waiting.exclude(kind__startswith="balance_").exists():
        return
    finding = rail.compare_balance()
    if finding is not None:
        items.take(found, rail, finding)
        return
    for item in waiting.exclude(run=found):
        items.close(item, ItemState.GONE, "the sums agree again")
        items.recount(item.run)


def _bury_the_dead(rail: str) -> None:
    """End the runs that a killed process left: we hold the lock, so nobody is at them."""
    dead = ReconciliationRun.objects.filter(rail=rail, outcome=RunOutcome.RUNNING)
    for one in dead:
        _end(one, RunOutcome.FAILED, "the process that ran it ended before it did")


@contextmanager
def _alone(rail: str) -> Iterator[None]:
    """One run of a rail at a time, over all processes; a dead one lets go by itself."""
    key = f"reconciliation:{rail}"
    if not _asked("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", key):
        raise Conflict("A reconciliation of this way to pay is running. Wait until it has ended.")
    try:
        yield
    finally:
        _asked("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", key)


def _asked(sql: str, key: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, [key])
        return bool(cursor.fetchone()[0])
