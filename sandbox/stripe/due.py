"""What falls due as time goes by, each thing at its own moment and all of them in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from sandbox.config import Config
from sandbox.store import Tx
from sandbox.stripe import charges, disputes, invoices, renewals, sessions, subscription_docs
from sandbox.stripe.context import Context

INQUIRY_SECONDS = disputes.INQUIRY_DAYS * disputes.DAY_SECONDS


class Endless(Exception):
    """Something is due again and again and never done."""


def run(tx: Tx, config: Config, until: float) -> None:
    """Do everything that is due up to ``until``, each at the time it was due."""
    steps: dict[int, int] = {}
    while True:
        moment = next_moment(tx)
        if moment is None or moment > until:
            return
        steps[moment] = steps.get(moment, 0) + 1
        if steps[moment] > 1000:
            raise Endless(f"what is due at {moment} does not end")
        _act(Context(tx, config, moment))


def next_moment(tx: Tx) -> int | None:
    """The earliest moment at which something falls due."""
    found = [moment for moment in _moments(tx) if moment is not None]
    return min(found, default=None)


def _moments(tx: Tx) -> Iterator[int | None]:
    # Conditions as in the store's partial indexes: this is asked before every change.
    still_open = "json_extract(data, '$.status') = 'open'"
    yield _least(tx, sessions.KIND, "json_extract(data, '$.expires_at')", still_open)
    status = "json_extract(data, '$.status') = ?"
    yield _least(tx, "charge", "json_extract(private, '$.balance_due_at')")
    due_by = "json_extract(data, '$.evidence_details.due_by') + 1"
    yield _least(tx, "dispute", due_by, status, disputes.CHARGEBACK[0])
    for name in disputes.INQUIRY:
        yield _least(tx, "dispute", f"created + {INQUIRY_SECONDS} + 1", status, name)
    for kind in (invoices.KIND, subscription_docs.KIND):
        yield _least(tx, kind, "json_extract(private, '$.due_at')")


def _least(tx: Tx, kind: str, moment: str, where: str = "1", *args: str) -> int | None:
    rows = tx.rows(
        f"SELECT min({moment}) FROM objects "
        f"WHERE kind = ? AND {moment} IS NOT NULL AND {where} AND NOT deleted",
        (kind, *args),
    )
    return None if rows[0][0] is None else math.ceil(rows[0][0])


def _act(context: Context) -> None:
    for session in sessions.overdue(context):
        sessions.expire(context, session)
    for charge in charges.due_for_balance(context):
        charges.settle_balance(context, charge)
    disputes.end_overdue(context)
    _each(context, invoices.KIND, renewals.process_invoice)
    _each(context, subscription_docs.KIND, renewals.process)


def _each(context: Context, kind: str, act: Callable[..., None]) -> None:
    """Do it to every object of the kind that is due, as it is when its turn comes."""
    late = "json_extract(private, '$.due_at') <= ?"
    for found in context.tx.find(kind, late, (context.now,)):
        if context.tx.rows(
            f"SELECT 1 FROM objects WHERE kind = ? AND id = ? AND {late}",
            (kind, found["id"], context.now),
        ):
            act(context, context.need(kind, found["id"]))
