"""Single differences that a reconciliation named: kept, repaired, left to somebody, gone."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from billing.errors import RailUnavailable
from billing.models import ItemState, ReconciliationItem, ReconciliationRun
from billing.models.reconciliation import OPEN
from billing.services.rails import Finding, Rail
from common import clock

logger = logging.getLogger(__name__)

NOT_SAFE = "it is more than a lost message should have done"


def waiting(rail: str) -> QuerySet[ReconciliationItem]:
    """Differences of a rail that still wait, whichever run named them."""
    return ReconciliationItem.objects.filter(run__rail=rail, state__in=OPEN).select_related("run")


def take(run: ReconciliationRun, rail: Rail, finding: Finding) -> None:
    """Keep one finding, once a run; repair it if that is safe and the run is to repair."""
    item, is_new = ReconciliationItem.objects.get_or_create(
        run=run, kind=finding.kind, subject=finding.subject, defaults=_told(finding)
    )
    if not is_new:
        return
    _supersede(item)
    logger.warning(
        "reconciliation found a difference",
        extra={"rail": run.rail, "kind": item.kind, "subject": item.subject},
    )
    if run.repairs and finding.is_safe:
        _repair_at_once(item, rail)
    elif run.repairs:
        close(item, ItemState.LEFT, NOT_SAFE)


def close(item: ReconciliationItem, state: ItemState, note: str) -> None:
    """Write down what became of an item."""
    item.state = state
    item.note = note[:2000]
    item.repaired_at = clock.now() if state == ItemState.REPAIRED else None
    item.save(update_fields=["state", "note", "repaired_at"])


def verify(item: ReconciliationItem, rail: Rail) -> None:
    """Look once more whether a repair helped; if not, the item waits for somebody."""
    if rail.look_again(item.kind, item.subject) is not None:
        close(item, ItemState.LEFT, "it was repaired, and still differs")


def recount(run: ReconciliationRun) -> None:
    """Bring a run's numbers to what became of its items."""
    named = run.items.exclude(state=ItemState.GONE)
    run.found_count = named.count()
    run.repaired_count = named.filter(state=ItemState.REPAIRED).count()
    run.left_count = named.filter(state__in=OPEN).count()
    run.save(update_fields=["found_count", "repaired_count", "left_count"])


def _told(finding: Finding) -> dict[str, Any]:
    told = asdict(finding)
    del told["kind"], told["subject"]
    return told | {"ours": finding.ours[:200], "theirs": finding.theirs[:200]}


def _supersede(item: ReconciliationItem) -> None:
    """What an earlier run left of the same difference is this item's business now."""
    earlier = waiting(item.run.rail).filter(kind=item.kind, subject=item.subject)
    for one in earlier.exclude(pk=item.pk):
        close(one, ItemState.GONE, "a later run named it again")
        if one.run_id != item.run_id:
            recount(one.run)


def _repair_at_once(item: ReconciliationItem, rail: Rail) -> None:
    """Do what a lost message should have; what fails is left, and does not hold up the rest."""
    try:
        repair = rail.look_again(item.kind, item.subject)
        if repair is None:
            close(item, ItemState.GONE, "it was put right meanwhile")
        elif repair.act is None or not repair.finding.is_safe:
            close(item, ItemState.LEFT, NOT_SAFE)
        else:
            with transaction.atomic():
                repair.act()
                close(item, ItemState.REPAIRED, "")
            verify(item, rail)
    except RailUnavailable:
        raise
    except Exception as error:
        logger.exception("not repaired", extra={"kind": item.kind, "subject": item.subject})
        close(item, ItemState.LEFT, f"{type(error).__name__}: {error}")
