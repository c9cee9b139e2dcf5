"""The audit: everything the ledger counts, added up again from what it recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from billing.selectors import (
    audit_auto_top_ups,
    audit_business,
    audit_invoices,
    audit_ledger,
    audit_subscriptions,
)
from common import clock

# One kind of damage can touch every row; naming the first ones is enough to act on.
LIMIT_PER_CHECK = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not add up: where it is, and what was expected there."""

    check: str
    table: str
    id: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return (
            f"{self.check}: {self.table} {self.id}: {self.what}: "
            f"expected {self.expected}, found {self.found}"
        )


# Name → a SELECT of table, id, what, expected, found. Apps with ledger accounts of their own add
# theirs in AppConfig.ready.
CHECKS: dict[str, str] = {
    **audit_ledger.CHECKS,
    **audit_business.CHECKS,
    **audit_invoices.CHECKS,
    **audit_subscriptions.CHECKS,
    **audit_auto_top_ups.CHECKS,
}


def differences(*, at: datetime | None = None) -> list[Difference]:
    """Every difference, by check; empty when the books are right.

    Reads one consistent picture of a live database and locks nothing. ``at`` (now) is the moment
    at which lots count as expired.
    """
    with transaction.atomic():
        if not _was_in_transaction():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return [found for name in CHECKS for found in _run(name, at or clock.now())]


def _was_in_transaction() -> bool:
    """Whether our block is inside another one, whose isolation is its own business."""
    return len(connection.savepoint_ids) > 0


def _run(name: str, at: datetime) -> Iterator[Difference]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"{CHECKS[name]} LIMIT {LIMIT_PER_CHECK}",
            {"at": at},
        )
        for row in cursor.fetchall():
            yield Difference(name, *(str(column) for column in row))
