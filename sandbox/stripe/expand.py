"""``expand[]``: replacing ids by objects, through nested objects and lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.store import Json
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError

# (context, the object that has the field, the field's value) -> what to show instead
Resolver = Callable[[Context, Json, Any], Any]

# kind -> field (dotted through plain inner objects) -> resolver; filled by the modules of the nouns
EXPANDABLE: dict[str, dict[str, Resolver]] = {}


def ref(kind: str) -> Resolver:
    """The field holds the id of an object of ``kind``."""

    def resolve(context: Context, obj: Json, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return context.tx.get(kind, value) or {"id": value, "object": kind, "deleted": True}

    return resolve


def expanded(context: Context, answer: Json, paths: list[str]) -> Json:
    """``answer`` with every path expanded. Raises StripeError for a field that cannot be."""
    for path in paths:
        steps = path.split(".")
        if len(steps) > 4:
            message = f"You cannot expand more than 4 levels of a property. Property: {path}"
            raise StripeError(message, param="expand", saved=False)
        _expand(context, answer, steps, path)
    return answer


def _expand(context: Context, obj: Any, steps: list[str], path: str) -> None:
    if not steps or obj is None:
        return
    if obj.get("object") == "list":
        if steps[0] != "data":
            raise _refused(path)
        for item in obj["data"]:
            _expand(context, item, steps[1:], path)
        return
    table = EXPANDABLE.get(str(obj.get("object")), {})
    for length in range(1, len(steps) + 1):
        resolver = table.get(".".join(steps[:length]))
        if resolver is not None:
            for value in _resolved(context, obj, steps[:length], resolver):
                _expand(context, value, steps[length:], path)
            return
    inner = obj.get(steps[0])
    if len(steps) == 1 or not isinstance(inner, dict) or "object" not in inner:
        raise _refused(path)
    _expand(context, inner, steps[1:], path)


def _resolved(context: Context, obj: Json, steps: list[str], resolver: Resolver) -> list[Any]:
    """Put the resolver's answer in the field at ``steps``; the objects that are now there."""
    *outer, field = steps
    found = []
    for holder in _holders(obj, outer):
        shown = resolver(context, obj, holder.get(field))
        if shown is not None or field in holder:
            holder[field] = shown
        found += _several(shown)
    return found


def _holders(obj: Json, steps: list[str]) -> list[Json]:
    """The inner objects at ``steps``, through plain lists."""
    found: list[Any] = [obj]
    for step in steps:
        found = [inner for one in found for inner in _several(one.get(step))]
    return [one for one in found if isinstance(one, dict)]


def _several(value: Any) -> list[Any]:
    many = value if isinstance(value, list) else [value]
    return [one for one in many if isinstance(one, dict)]


def _refused(path: str) -> StripeError:
    message = f"This property cannot be expanded ({path})."
    return StripeError(message, param="expand", saved=False)
