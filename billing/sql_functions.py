"""Calling the ledger's SQL functions: one round trip each, their refusals as BillingErrors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import psycopg
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    IntegrityError,
    connection,
    connections,
    models,
)
from django.db.backends.utils import CursorWrapper

from billing import errors
from billing.money import asset
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
    names, columns = _columns(model)
    with _call(columns, function, args, casts) as cursor:
        return [model.from_db(DEFAULT_DB_ALIAS, names, row) for row in cursor.fetchall()]


def rows(function: str, *args: Any, casts: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The rows a function returns, by column name."""
    with _call("*", function, args, casts) as cursor:
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def number(function: str, *args: Any) -> int:
    """The number a function returns."""
    with _call("*", function, args, ()) as cursor:
        return int(cursor.fetchone()[0])


@cache
def _columns(model: type[models.Model]) -> tuple[list[str], str]:
    """A model's fields, and their columns for a SELECT that a later migration does not break."""
    fields = model._meta.concrete_fields
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    return [field.attname for field in fields], columns


@contextmanager
def _call(
    columns: str, function: str, args: Sequence[Any], casts: Sequence[str]
) -> Iterator[CursorWrapper]:
    with _refusals(), _cursor() as cursor:
        cursor.execute(_statement(columns, function, tuple(casts) or ("",) * len(args)), args)
        yield cursor


@cache
def _statement(columns: str, function: str, casts: tuple[str, ...]) -> str:
    places = ", ".join(f"%s::{cast}" if cast else "%s" for cast in casts)
    return f"SELECT {columns} FROM {function}({places})"  # noqa: S608 - the names are this code's own


def _cursor() -> CursorWrapper:
    """A cursor whose values travel beside the statement, so that it is planned once a connection.

    Django's own cursors write the values into the text, which is parsed and planned every time:
    a spend would take half as long again.
    """
    database = connections[DEFAULT_DB_ALIAS]  # once: "connection" looks it up for every attribute
    database.close_if_health_check_failed()
    database.validate_thread_sharing()
    database.ensure_connection()
    cursor: Any = psycopg.Cursor(database.connection)
    cursor.format = psycopg.pq.Format.BINARY  # moments need no parsing
    return (database.make_debug_cursor if database.queries_logged else database.make_cursor)(cursor)


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
        raise _told(refusal, error) from error


def _told(refusal: type[BillingError], error: DatabaseError) -> BillingError:
    """The refusal with the figures that the function gave with it."""
    diagnosis = getattr(error.__cause__, "diag", None)
    figures = getattr(diagnosis, "message_detail", None)
    if not figures or not issubclass(refusal, errors.LimitReached):
        return refusal()
    known = json.loads(figures)
    resets_at = known.get("resets_at")
    return refusal(
        used=known.get("used"),
        allowed=known.get("allowed"),
        wanted=known.get("wanted"),
        asset=asset(known["asset"]),
        resets_at=datetime.fromisoformat(resets_at) if resets_at else None,
    )
