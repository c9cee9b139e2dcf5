"""Keyset pagination: page one thousand costs what page one costs."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.errors import InvalidInput

Row = TypeVar("Row", bound=Model)


class CursorInvalid(InvalidInput):
    code = "cursor_invalid"
    message = "This cursor is not one of ours. Start again without it."


class KeysetPagination(BasePagination):
    """``?limit=&cursor=`` over a fixed order; answers ``{"results", "next_cursor"}``.

    ``ordering`` names plain, never-null fields of the model, the last one unique, all in the same
    direction. Rows added meanwhile neither repeat nor hide others.
    """

    ordering: tuple[str, ...] = ("-id",)
    default_limit = 50
    max_limit = 200
    _next: str | None = None

    def paginate_queryset(  # type: ignore[override]  # query sets only: a list has no keyset
        self, queryset: QuerySet[Row], request: Request, view: APIView | None = None
    ) -> list[Row]:
        limit = _limit(request, default=self.default_limit, maximum=self.max_limit)
        rows, self._next = page(
            queryset, ordering=self.ordering, limit=limit, cursor=request.query_params.get("cursor")
        )
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next_cursor": self._next})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next_cursor"],
            "properties": {
                "results": schema,
                "next_cursor": {
                    "type": "string",
                    "nullable": True,
                    "description": "Send it back as `cursor`; null on the last page.",
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        limits = {"type": "integer", "minimum": 1, "maximum": self.max_limit}
        return [
            {
                "name": "limit",
                "in": "query",
                "required": False,
                "schema": limits | {"default": self.default_limit},
            },
            {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
        ]


def page(
    queryset: QuerySet[Row], *, ordering: Sequence[str], limit: int, cursor: str | None
) -> tuple[list[Row], str | None]:
    """The rows after ``cursor`` in ``ordering``, at most ``limit``, and where to go on from.

    Serves pages and API alike. Raises CursorInvalid for a cursor that is not one of ours.
    """
    names = [field.lstrip("-") for field in ordering]
    if cursor:
        values = _decode(cursor, names, queryset.model)
        queryset = queryset.filter(_beyond(names, values, descending=ordering[0].startswith("-")))
    rows = list(queryset.order_by(*ordering)[: limit + 1])
    if len(rows) <= limit:
        return rows, None
    rows = rows[:limit]
    return rows, _encode(rows[-1], names)


def _beyond(names: Sequence[str], values: Sequence[Any], *, descending: bool) -> Q:
    """``(a, b) < (x, y)`` spelled out, with the plain bound on ``a`` that an index can use."""
    step = "lt" if descending else "gt"
    condition = Q()
    for depth, name in enumerate(names):
        ties = dict(zip(names[:depth], values[:depth], strict=True))
        condition |= Q(**ties, **{f"{name}__{step}": values[depth]})
    return Q(**{f"{names[0]}__{step}e": values[0]}) & condition


def _encode(row: Model, names: Sequence[str]) -> str:
    meta = row._meta
    texts = [meta.get_field(name).value_to_string(row) for name in names]  # type: ignore[union-attr]
    return base64.urlsafe_b64encode(json.dumps(texts).encode()).decode().rstrip("=")


def _decode(cursor: str, names: Sequence[str], model: type[Model]) -> list[Any]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        texts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(texts, list) or len(texts) != len(names):
            raise CursorInvalid
        if not all(isinstance(text, str) and "\0" not in text for text in texts):
            raise CursorInvalid
        fields = [model._meta.get_field(name) for name in names]
        values = [
            field.to_python(text)  # type: ignore[union-attr]
            for field, text in zip(fields, texts, strict=True)
        ]
    except (binascii.Error, ValueError, RecursionError, ValidationError, FieldDoesNotExist):
        raise CursorInvalid from None
    if any(value is None for value in values):
        raise CursorInvalid
    return values


def _limit(request: Request, *, default: int, maximum: int) -> int:
    text = request.query_params.get("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= maximum):
        raise InvalidInput(fields={"limit": [f"A whole number from 1 to {maximum}."]})
    return int(text)
