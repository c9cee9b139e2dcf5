"""Rows of a query too long to hold, read as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import connection


def rows(sql: str, bounds: Mapping[str, Any] | None = None, *, limit: int | None) -> Iterator[Any]:
    """The rows, at most ``limit`` of them, by a cursor on the server's side."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql if limit is None else f"{sql} LIMIT {int(limit)}", bounds)
        yield from cursor
