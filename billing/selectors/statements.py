"""The statement of a wallet: every transfer that touched it, with the balance after each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from django.core import signing
from django.db import connection
from django.db.models import TextChoices
from django.utils.translation import pgettext_lazy

from billing.models import Code, LedgerAccount
from billing.money import Money
from billing.titles import product_title
from common import clock
from common.pagination import CursorInvalid

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Wide enough for any statement, narrow enough for every time zone.
EARLIEST, LATEST = date(2000, 1, 1), date(2200, 1, 1)


class Kind(TextChoices):
    """What a customer would call a movement."""

    PURCHASE = "purchase", pgettext_lazy("a movement", "Bought")
    BONUS = "bonus", pgettext_lazy("a movement", "Given")
    USAGE = "usage", pgettext_lazy("a movement", "Used")
    ORDER = "order", pgettext_lazy("a movement", "Paid with credits")
    REFUND = "refund", pgettext_lazy("a movement", "Refunds")
    EXPIRY = "expiry", pgettext_lazy("a movement", "Expired")
    DEBT = "debt", pgettext_lazy("a movement", "Debt paid")
    OTHER = "other", pgettext_lazy("a movement", "Other")


_KINDS: dict[Kind, frozenset[str]] = {
    Kind.PURCHASE: frozenset({Code.PURCHASE}),
    Kind.BONUS: frozenset({Code.PROMOTION, Code.ADJUSTMENT}),
    Kind.USAGE: frozenset({Code.USAGE, Code.USAGE_REFUND}),
    Kind.ORDER: frozenset({Code.ORDER, Code.ORDER_BACK}),
    Kind.REFUND: frozenset({Code.REVOKE, Code.REVOKE_BACK}),
    Kind.EXPIRY: frozenset({Code.EXPIRE}),
    Kind.DEBT: frozenset({Code.DEBT_PAYMENT, Code.DEBT_PAYMENT_BACK}),
}

_DESCRIPTIONS: dict[str, StrOrPromise] = {
    Code.PURCHASE: pgettext_lazy("a movement", "Bought"),
    Code.PROMOTION: pgettext_lazy("a movement", "Given to you"),
    Code.ADJUSTMENT: pgettext_lazy("a movement", "Adjusted by our staff"),
    Code.USAGE: pgettext_lazy("a movement", "Used"),
    Code.USAGE_REFUND: pgettext_lazy("a movement", "Given back for usage"),
    Code.ORDER: pgettext_lazy("a movement", "Paid with credits"),
    Code.ORDER_BACK: pgettext_lazy("a movement", "Refunded to your credits"),
    Code.REVOKE: pgettext_lazy("a movement", "Taken back with a refund"),
    Code.REVOKE_BACK: pgettext_lazy("a movement", "Given back: a refund failed"),
    Code.EXPIRE: pgettext_lazy("a movement", "Expired"),
    Code.DEBT_PAYMENT: pgettext_lazy("a movement", "Paid what was owed"),
    Code.DEBT_PAYMENT_BACK: pgettext_lazy("a movement", "Given back: owed less after all"),
}
# The same, where a payer's bank and not a refund took the money back.
_DISPUTED: dict[str, StrOrPromise] = {
    Code.REVOKE: pgettext_lazy("a movement", "Taken back: the payment was charged back"),
    Code.REVOKE_BACK: pgettext_lazy("a movement", "Given back: the charge-back was undone"),
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What part of a statement is wanted; ``until`` is the first moment that is not."""

    kind: Kind | None = None
    since: datetime | None = None
    until: datetime | None = None

    @classmethod
    def for_days(cls, *, kind: str, since: date | None, until: date | None, zone: ZoneInfo) -> Self:
        """Whole days, both included, as moments in ``zone``; "" is every kind."""

        def start_of(day: date | None) -> datetime | None:
            return datetime.combine(day, time(), zone) if day else None

        return cls(
            kind=Kind(kind) if kind else None,
            since=start_of(since),
            until=start_of(until + timedelta(days=1)) if until else None,
        )


NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class StatementRow:
    """One movement: signed amount, the balance after it, and a sentence for the customer.

    ``stamped_at`` is the database's time, by which rows are ordered; ``booked_at`` the portal's,
    which is another one only while the sandbox's clock runs ahead.
    """

    id: int
    stamped_at: datetime
    booked_at: datetime
    occurred_at: datetime
    kind: Kind
    description: str
    amount: Money
    balance: Money
    order_id: UUID | None


@dataclass(frozen=True, slots=True)
class StatementPage:
    """Some rows, newest first, and where to go on from; None on the last page."""

    rows: Sequence[StatementRow]
    next_cursor: str | None = None


# The balance after a row is today's (or, further down, the one the cursor carries) less all that
# came later. Without filters each half reads only a page's worth off the end of its index.
# What a group is about is looked up for the rows that are shown.
_ROWS = """
SELECT shown.*, o.id AS order_id, o.product_kind AS order_kind, o.product_name AS order_name,
    o.snapshot::text AS order_snapshot
FROM (
SELECT id, stamped_at, booked_at, occurred_at, code, group_key, signed_minor, balance_minor FROM (
    SELECT moves.*, {booked} AS booked_at, {anchor} - coalesce(sum(signed_minor) OVER (
        ORDER BY stamped_at DESC, id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0)::bigint AS balance_minor
    FROM (
        (SELECT id, created_at AS stamped_at, occurred_at, code, group_key,
                -amount_minor AS signed_minor
         FROM billing_transfer WHERE source_id = %(wallet)s {bounds} {newest})
        UNION ALL
        (SELECT id, created_at, occurred_at, code, group_key, amount_minor
         FROM billing_transfer WHERE target_id = %(wallet)s {bounds} {newest})
    ) AS moves
) AS rows
WHERE true {wanted}
ORDER BY stamped_at DESC, id DESC
LIMIT %(limit)s
) AS shown
LEFT JOIN billing_refund r ON r.id = {refund}
LEFT JOIN billing_dispute d ON d.id = {dispute}
LEFT JOIN billing_payment p ON p.id = coalesce(r.payment_id, d.payment_id)
LEFT JOIN billing_order o ON o.id = coalesce({order}, p.order_id)
ORDER BY stamped_at DESC, shown.id DESC
"""
# The id in a group ``<kind>:<id>``; null in groups of other kinds and of other apps' making.
_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ABOUT = {
    kind: f"CASE WHEN group_key ~ '^{kind}:{_UUID}$' THEN split_part(group_key, ':', 2)::uuid END"
    for kind in ("order", "refund", "dispute")
}
# While the portal's clock runs ahead of the database's (in the sandbox), it was later by it.
_BOOKED, _BOOKED_AHEAD = "stamped_at", "greatest(stamped_at, occurred_at)"
# Between the moment an act is given and the one its row is stamped with.
_TOLERANCE = timedelta(hours=1)
_NEWEST = "ORDER BY created_at DESC, id DESC LIMIT %(limit)s"
_TODAY = "(SELECT balance_minor FROM billing_ledgeraccount WHERE id = %(wallet)s)"


def statement(
    wallet: LedgerAccount | None,
    *,
    limit: int,
    cursor: str | None = None,
    filters: Filters = NO_FILTERS,
) -> StatementPage:
    """The wallet's transfers, newest first, each with the true balance after it.

    Filters hide rows, they do not change balances. One query; without a filter of
    kind or end a page deep down costs what the first one costs. None is the wallet of somebody
    who never had one. Raises CursorInvalid.
    """
    if wallet is None:
        return StatementPage([])
    sql, values = _query(wallet, filters, cursor)
    with connection.cursor() as found:
        found.execute(sql, {**values, "limit": limit + 1})
        names = [column.name for column in found.description]
        records = [dict(zip(names, record, strict=True)) for record in found.fetchall()]
    rows = [_row(record, wallet) for record in records[:limit]]
    more = len(records) > limit
    return StatementPage(rows, _encode(wallet, rows[-1]) if more else None)


def all_rows(
    wallet: LedgerAccount | None, *, filters: Filters = NO_FILTERS, batch: int = 1000
) -> Iterator[StatementRow]:
    """Every row of the statement, read in batches, newest first."""
    cursor: str | None = None
    while True:
        page = statement(wallet, limit=batch, cursor=cursor, filters=filters)
        yield from page.rows
        cursor = page.next_cursor
        if cursor is None:
            return


def kind_of(code: str) -> Kind:
    """What a customer would call transfers of that code."""
    return next((kind for kind, codes in _KINDS.items() if code in codes), Kind.OTHER)


def reference_group(owner_id: UUID | None, reference: str) -> str:
    """The ledger group of usage that its caller gave a reference; statements show it."""
    return f"ref:{owner_id}:{reference}"


def reference_in(group: str, wallet: LedgerAccount) -> str:
    """The reference that a group carries, or nothing."""
    prefix = reference_group(wallet.owner_id, "")
    return group.removeprefix(prefix) if group.startswith(prefix) else ""


def _query(
    wallet: LedgerAccount, filters: Filters, cursor: str | None
) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {"wallet": wallet.pk}
    anchor, bounds, wanted = _TODAY, "", ""
    ahead = max(clock.ahead(), timedelta(0))
    if cursor:
        values |= _decode(wallet, cursor)
        anchor = "%(balance)s"
        bounds += " AND (created_at, id) < (%(at)s, %(id)s)"
    if filters.since is not None:
        bounds += " AND created_at >= %(stamped_since)s"
        wanted += " AND booked_at >= %(since)s" if ahead else ""
        slack = ahead and ahead + _TOLERANCE
        values |= {"since": filters.since, "stamped_since": filters.since - slack}
    if filters.until is not None:
        wanted += " AND booked_at < %(until)s"
        values["until"] = filters.until
    if filters.kind is not None:
        wanted += " AND code = ANY(%(codes)s)"
        values["codes"] = sorted(_KINDS.get(filters.kind, ()))
        if filters.kind is Kind.OTHER:
            wanted = wanted.replace("code = ANY", "NOT code = ANY")
            values["codes"] = sorted(frozenset().union(*_KINDS.values()))
    newest = "" if wanted else _NEWEST
    parts = {"anchor": anchor, "bounds": bounds, "wanted": wanted, "newest": newest}
    return _ROWS.format(booked=_BOOKED_AHEAD if ahead else _BOOKED, **parts, **_ABOUT), values


def _row(record: dict[str, Any], wallet: LedgerAccount) -> StatementRow:
    code = record["code"]
    words = _DISPUTED if record["group_key"].startswith("dispute:") else _DESCRIPTIONS
    known = words.get(code) or _DESCRIPTIONS.get(code)
    description = str(known) if known else code.replace("_", " ").capitalize()
    about = _ordered(record) or reference_in(record["group_key"], wallet)
    return StatementRow(
        id=record["id"],
        stamped_at=record["stamped_at"],
        booked_at=record["booked_at"],
        occurred_at=record["occurred_at"],
        kind=kind_of(code),
        description=f"{description}: {about}" if about else description,
        amount=Money(record["signed_minor"], wallet.unit),
        balance=Money(record["balance_minor"], wallet.unit),
        order_id=record["order_id"],
    )


def _ordered(record: dict[str, Any]) -> str:
    """What the order behind a row was for, or nothing."""
    if record["order_id"] is None:
        return ""
    snapshot = json.loads(record["order_snapshot"])
    return product_title(record["order_kind"], record["order_name"], snapshot)


def _encode(wallet: LedgerAccount, row: StatementRow) -> str:
    before_minor = (row.balance - row.amount).amount_minor
    content = [row.stamped_at.isoformat(), row.id, before_minor]
    return signing.dumps(content, salt=f"statement:{wallet.pk}")


def _decode(wallet: LedgerAccount, cursor: str) -> dict[str, Any]:
    try:
        at, row_id, balance_minor = signing.loads(cursor, salt=f"statement:{wallet.pk}")
    except (signing.BadSignature, ValueError):
        raise CursorInvalid from None
    return {"at": datetime.fromisoformat(at), "id": row_id, "balance": balance_minor}
