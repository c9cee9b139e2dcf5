"""Calling the ledger's SQL functions: one round trip each, their refusals as BillingErrors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import DatabaseError, IntegrityError, connection, models

from billing import errors
from common.errors import BillingError

Row = TypeVar("Row", bound=models.Model)

_REFUSALS: dict[str, type[BillingError]] = {
    "LG001": errors.InsufficientFunds,
    "LG002": errors.IdempotencyMismatch,
    "LG003": errors.InDebt,
    "LG004": errors.SpendCapReached,
    "LG005": errors.HoldClosed,
    "LG006": errors.NotPossible,
    "LG007": errors.ExceedsOriginal,
    "LG008": errors.LedgerWriteRefused,
}


def one(model: type[Row], function: str, *args: Any) -> Row:
    """The one row a function returns, as a saved instance of ``model``."""
    return many(model, function, *args)[0]


def many(model: type[Row], function: str, *args: Any, casts: Sequence[str] = ()) -> list[Row]:
    """The rows a function returns, as saved instances of ``model``."""
    with _call(function, args, casts) as cursor:
        columns = {column.name: place for place, column in enumerate(cursor.description)}
        places = [columns[field.column] for field in model._meta.concrete_fields]
        names = [field.attname for field in model._meta.concrete_fields]
        return [
            model.from_db("default", names, [row[place] for place in places])
            for row in cursor.fetchall()
        ]


def rows(function: str, *args: Any, casts: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows a function returns, by column name."""
    with _call(function, args, casts) as cursor:
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def number(function: str, *args: Any) -> int:
    """The number a function returns."""
    with _call(function, args, ()) as cursor:
        return int(cursor.fetchone()[0])


@contextmanager
def _call(function: str, args: Sequence[Any], casts: Sequence[str]) -> Iterator[Any]:
    places = [f"%s::{cast}" if cast else "%s" for cast in casts] or ["%s"] * len(args)
    with _refusals(), connection.cursor() as cursor:
        # The name is one of this module's own; values are bound.
        cursor.execute(f"SELECT * FROM {function}({', '.join(places)})", args)  # noqa: S608
        yield cursor


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the SQL functions' own error codes into BillingErrors; anything else crashes."""
    try:
        yield
    except IntegrityError as error:
        diagnosis = getattr(error.__cause__, "diag", None)
        broken = str(getattr(diagnosis, "constraint_name", None))
        if broken in {"one_transfer_per_key", "one_hold_per_key"}:
            raise errors.IdempotencyMismatch from error
        raise
    except DatabaseError as error:
        refusal = _REFUSALS.get(getattr(error.__cause__, "sqlstate", None) or "")
        if refusal is None:
            raise
        raise refusal from error
