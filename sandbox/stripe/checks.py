"""Typed readers for the control API's bodies, which are JSON or a form of the control page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.store import Json

Check = Callable[[Any], Any]


class Refusal(Exception):
    """The control call cannot be done; the message says why."""


def read(body: Json, fields: Mapping[str, Check], *, required: tuple[str, ...] = ()) -> Json:
    """The checked values of what was sent; empty form fields count as not sent."""
    values: Json = {}
    for name, value in body.items():
        if name not in fields:
            raise Refusal(f"unknown field: {name[:50]}")
        if value != "":
            try:
                values[name] = fields[name](value)
            except (TypeError, ValueError) as problem:
                raise Refusal(f"{name}: {problem}") from None
    for name in required:
        if name not in values:
            raise Refusal(f"missing field: {name}")
    return values


def whole(low: int, high: int) -> Check:
    """A whole number; digits in a form count, fractions and booleans do not."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise TypeError("must be a whole number")
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"must be between {low} and {high}")
        return number

    return check


def seconds(value: Any) -> float:
    """A number of seconds; negative where that means 'only when told'."""
    if isinstance(value, bool):
        raise TypeError("must be a number of seconds")
    number = float(value)
    if not -1 <= number <= 365 * 24 * 3600:
        raise ValueError("must be between -1 and a year")
    return number


def pause(value: Any) -> float:
    """How long one thing is kept waiting: up to an hour."""
    number = seconds(value)
    if not 0 <= number <= 3600:
        raise ValueError("must be between 0 and 3600")
    return number


def string(value: Any) -> str:
    """Text of reasonable length."""
    if not isinstance(value, str) or len(value) > 500:
        raise ValueError("must be a text of at most 500 characters")
    value.encode()  # half a surrogate pair is no text
    return value


def choice(*allowed: str) -> Check:
    """One of these words."""

    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return str(value)

    return check


def flag(value: Any) -> bool:
    """True or false; a form sends words."""
    if value not in (True, False, "true", "false"):
        raise ValueError("must be true or false")
    return value in (True, "true")


def optional(inner: Check) -> Check:
    """None or what ``inner`` takes."""
    return lambda value: None if value is None else inner(value)
