"""Lists: newest first, cursors, ``created`` ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.store import Json
from sandbox.stripe.context import Context

OPERATORS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def envelope(data: list[Json], url: str, *, has_more: bool = False) -> Json:
    """A list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


class Filter:
    """SQL conditions on stored documents, gathered one by one."""

    def __init__(self) -> None:
        self.conditions = ["NOT deleted"]
        self.args: list[Any] = []

    def where(self, condition: str, *args: Any) -> None:
        """Keep only what ``condition`` lets through."""
        self.conditions.append(f"({condition})")
        self.args.extend(args)

    def field(self, name: str, value: Any) -> None:
        """Keep only documents whose field has this value; None filters nothing."""
        if value is not None:
            self.where(f"json_extract(data, '$.{name}') = ?", value)

    def among(self, name: str, values: list[Any] | None) -> None:
        """Keep only documents whose field has one of these values; None filters nothing."""
        if values is not None:
            marks = ", ".join("?" for _ in values)
            self.where(f"json_extract(data, '$.{name}') IN ({marks})", *values)

    def created(self, bounds: dict[str, int] | None) -> None:
        """Keep only what was created within the bounds."""
        for operator, moment in (bounds or {}).items():
            self.where(f"created {OPERATORS[operator]} ?", moment)


def page(
    context: Context, kind: str, params: Json, url: str, *, filters: Filter | None = None
) -> Json:
    """One page of the objects of ``kind``, newest first."""
    chosen = filters or Filter()
    chosen.created(params.get("created"))
    limit = params.get("limit") or 10
    order = "DESC"
    for name, operator in (("starting_after", "<"), ("ending_before", ">")):
        if params.get(name):
            chosen.where(f"seq {operator} ?", _position(context, kind, params[name], name))
            order = "ASC" if name == "ending_before" else order
    rows = context.tx.rows(
        f"SELECT id FROM objects WHERE kind = ? AND {' AND '.join(chosen.conditions)} "
        f"ORDER BY seq {order} LIMIT ?",
        (kind, *chosen.args, limit + 1),
    )
    ids = [row[0] for row in rows[:limit]]
    if order == "ASC":
        ids.reverse()
    return envelope([context.need(kind, id) for id in ids], url, has_more=len(rows) > limit)


def _position(context: Context, kind: str, id: str, param: str) -> int:
    context.need(kind, id, param=param)
    rows = context.tx.rows("SELECT seq FROM objects WHERE kind = ? AND id = ?", (kind, id))
    return int(rows[0][0])


def page_of(data: list[Json], params: Json, url: str) -> Json:
    """One page of a list that is part of another object, in its own order."""
    limit = params.get("limit") or 10
    ids = [one["id"] for one in data]
    start = ids.index(params["starting_after"]) + 1 if params.get("starting_after") in ids else 0
    return envelope(data[start : start + limit], url, has_more=len(data) > start + limit)


Handler = Callable[..., Json]


def lister(kind: str, url: str, *names: str) -> Handler:
    """A handler that lists ``kind``, filtered by the fields named."""

    def handle(context: Context, params: Json) -> Json:
        filters = Filter()
        for name in names:
            value = params.get(name)
            filters.field(name, int(value) if isinstance(value, bool) else value)
        return page(context, kind, params, url, filters=filters)

    return handle


def retriever(kind: str) -> Handler:
    """A handler that shows one object of ``kind``."""

    def handle(context: Context, params: Json, id: str) -> Json:
        return context.need(kind, id)

    return handle
