"""The same act under the same key, with one of its contents changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

Call = tuple[tuple[Any, ...], dict[str, Any]]

AMOUNT_IS_SECOND = {
    "grant", "spend", "reserve", "capture", "claw_back", "unwind", "refund_cost", "unrefund_cost",
}  # fmt: skip
OWNER_IS_FIRST = {"grant", "spend", "reserve", "claw_back"}


def other_contents(
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    variant: int,
    *,
    lots: int,
    holds: int,
) -> Call | None:
    """Changed arguments; None when the act has no key."""
    variants: list[Call] = []
    if name in AMOUNT_IS_SECOND:
        variants.append(((args[0], args[1] + 1), kwargs))
    if name in OWNER_IS_FIRST:
        other = "bob" if args[0] == "ada" else "ada"
        variants.append(((other, args[1]), kwargs))
    if name in ("grant", "spend", "reserve", "unwind"):
        variants.append((args, kwargs | {"code": kwargs["code"] + "_x"}))
    if name in ("capture", "refund_cost"):
        variants.append((args, kwargs | {"target": "elsewhere"}))
    if name == "grant":
        variants += [
            (args, kwargs | {"cost": kwargs["cost"] + 1}),
            (args, kwargs | {"priority": kwargs["priority"] + 1}),
            (args, kwargs | {"promotional": not kwargs["promotional"]}),
            (args, kwargs | {"expires_at": datetime(2031, 1, 1, tzinfo=UTC)}),
        ]
    if name == "pin" and lots > 1:
        variants.append((((args[0] + 1) % lots, args[1]), kwargs))
    if name == "capture" and holds > 1:
        variants.append((((args[0] + 1) % holds, args[1]), kwargs))
    if name in ("spend_many", "post"):
        item = args[0][0]
        variants += [
            (([replace(item, amount=item.amount + 1), *args[0][1:]],), kwargs),
            (([replace(item, code="other"), *args[0][1:]],), kwargs),
        ]
    return variants[variant % len(variants)] if variants else None
