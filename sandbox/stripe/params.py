"""Form bodies into typed values: ``a[b][0]=1`` read against a table of what Stripe knows.

A table (``Fields``) maps each parameter's name to a reader. A reader takes the raw value and the
parameter's full name and returns the typed value or raises a StripeError that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.stripe.errors import StripeError, bad_param, not_modelled

Raw = Any  # str, or dict[str, Raw]
Reader = Callable[[Raw, str], Any]
Fields = Mapping[str, Reader]

MAX_PARAMS = 2000
MAX_DEPTH = 8
KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")


def decode(text: str) -> dict[str, Raw]:
    """Nested dictionaries from a query string or form body; lists stay keyed by their index."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMS)
    except ValueError:
        raise StripeError("Too many parameters.", saved=False) from None
    root: dict[str, Raw] = {}
    for key, value in pairs:
        if "\0" in key or "\0" in value:
            raise StripeError("Invalid request: null bytes are not allowed.", saved=False)
        _place(root, key, value)
    return root


def _place(root: dict[str, Raw], key: str, value: str) -> None:
    matched = KEY.match(key)
    if matched is None:
        raise bad_param(f"Invalid parameter name: {key[:100]}", key[:100])
    path = [matched[1], *re.findall(r"\[([^\[\]]*)\]", matched[2])]
    if len(path) > MAX_DEPTH:
        raise bad_param("Parameters are nested too deeply.", matched[1])
    node = root
    for step, following in zip(path, [*path[1:], None], strict=True):
        name = step or str(len(node))
        if following is None:
            if isinstance(node.get(name), dict):
                raise bad_param(f"Invalid object: {matched[1]}", matched[1])
            node[name] = value
            return
        inner = node.setdefault(name, {})
        if not isinstance(inner, dict):
            raise bad_param(f"Invalid object: {matched[1]}", matched[1])
        node = inner


def read(raw: Mapping[str, Raw], fields: Fields, path: str = "") -> dict[str, Any]:
    """The typed values of what was sent. Raises StripeError at the first wrong parameter."""
    values = {}
    for name, value in raw.items():
        full = f"{path}[{name}]" if path else name
        if name not in fields:
            raise bad_param(
                f"Received unknown parameter: {full[:200]}", full[:200], "parameter_unknown"
            )
        values[name] = fields[name](value, full)
    return values


def require(values: Mapping[str, Any], names: Iterable[str], path: str = "") -> None:
    """Raises StripeError for the first of ``names`` that is not there."""
    for name in names:
        if values.get(name) is None:
            full = f"{path}[{name}]" if path else name
            raise bad_param(f"Missing required param: {full}.", full, "parameter_missing")


def _string(raw: Raw, path: str) -> str:
    if not isinstance(raw, str):
        raise bad_param(f"Invalid string: {path}", path)
    return raw


def text(max_length: int = 5000, *, one_of: Iterable[str] = ()) -> Reader:
    """A non-empty string."""
    choices = tuple(one_of)

    def reader(raw: Raw, path: str) -> str:
        value = _string(raw, path)
        if not value:
            raise bad_param(
                f"You passed an empty string for '{path}'. We assume empty values are an attempt "
                f"to unset a parameter; however '{path}' cannot be unset.",
                path,
                "parameter_invalid_empty",
            )
        if len(value) > max_length:
            message = f"Invalid string: must be at most {max_length} characters"
            raise bad_param(message, path, "parameter_invalid_string_too_long")
        if choices and value not in choices:
            raise bad_param(f"Invalid {path}: must be one of {', '.join(choices)}", path)
        return value

    return reader


def clearable(inner: Reader) -> Reader:
    """An empty string unsets the field (None); anything else is for ``inner``."""
    return lambda raw, path: None if raw == "" else inner(raw, path)


def integer(minimum: int = -(2**53), maximum: int = 2**53) -> Reader:
    """A whole number."""

    def reader(raw: Raw, path: str) -> int:
        value = _string(raw, path)
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            message = f"Invalid integer: {value[:100]}"
            raise bad_param(message, path, "parameter_invalid_integer")
        number = int(value)
        if number < minimum:
            message = f"This value must be greater than or equal to {minimum}."
            raise bad_param(message, path, "parameter_invalid_integer")
        if number > maximum:
            message = f"This value must be less than or equal to {maximum}."
            raise bad_param(message, path, "parameter_invalid_integer")
        return number

    return reader


def percentage(raw: Raw, path: str) -> float:
    """More than 0, at most 100, up to two decimals."""
    value = _string(raw, path)
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", value) or not 0 < float(value) <= 100:
        raise bad_param("Percent must be greater than 0 and at most 100.", path)
    return float(value)


def boolean(raw: Raw, path: str) -> bool:
    """``true`` or ``false``."""
    if raw not in ("true", "false"):
        raise bad_param(f"Invalid boolean: {str(raw)[:100]}", path)
    return bool(raw == "true")


def url(raw: Raw, path: str) -> str:
    """An absolute http or https address."""
    value = text(5000)(raw, path)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid or re.search(r"[\x00-\x20<>\"\\]", value):
        raise bad_param("Not a valid URL", path, "url_invalid")
    return str(value)


def email(raw: Raw, path: str) -> str:
    """Something with one @ and no blanks."""
    value = text(512)(raw, path)
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", value):
        raise bad_param(f"Invalid email address: {value[:100]}", path, "email_invalid")
    return str(value)


def currency(raw: Raw, path: str) -> str:
    """A three-letter currency, in lower case."""
    value = str(text(3)(raw, path)).lower()
    if not re.fullmatch(r"[a-z]{3}", value):
        raise bad_param(f"Invalid currency: {value}", path)
    return value


def metadata(raw: Raw, path: str) -> dict[str, str]:
    """Up to 50 keys of 40 characters with values of 500; an empty string means: clear all."""
    if raw == "":
        return {"": ""}
    if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
        raise bad_param(f"Invalid object: {path} must be a set of strings", path)
    for key, value in raw.items():
        if len(key) > 40:
            raise bad_param("Metadata keys can have up to 40 characters.", f"{path}[{key[:60]}]")
        if len(value) > 500:
            raise bad_param("Metadata values can have up to 500 characters.", f"{path}[{key}]")
    return dict(raw)


def merged(old: Mapping[str, str], sent: Mapping[str, str] | None) -> dict[str, str]:
    """Metadata after an update: empty values remove their key, ``{"": ""}`` removes all."""
    if sent is None:
        return dict(old)
    kept = {} if "" in sent else dict(old)
    kept.update(sent)
    result = {key: value for key, value in kept.items() if value != ""}
    if len(result) > 50:
        raise bad_param("Metadata can have up to 50 keys.", "metadata")
    return result


def group(fields: Fields, *, required: Iterable[str] = ()) -> Reader:
    """A nested object with a table of its own."""
    names = tuple(required)

    def reader(raw: Raw, path: str) -> dict[str, Any]:
        if not isinstance(raw, dict):
            raise bad_param(f"Invalid object: {path}", path)
        values = read(raw, fields, path)
        require(values, names, path)
        return values

    return reader


def array(item: Reader, *, maximum: int = 100) -> Reader:
    """A list; an empty string is the empty list."""

    def reader(raw: Raw, path: str) -> list[Any]:
        if raw == "":
            return []
        if not isinstance(raw, dict) or not all(key.isdecimal() for key in raw):
            raise bad_param(f"Invalid array: {path}", path)
        if len(raw) > maximum:
            raise bad_param(f"Array {path} exceeds the maximum of {maximum} elements.", path)
        ordered = sorted(raw.items(), key=lambda pair: int(pair[0]))
        return [item(value, f"{path}[{key}]") for key, value in ordered]

    return reader


def time_range(raw: Raw, path: str) -> dict[str, int]:
    """``created=5`` or ``created[gte]=5``: bounds by operator (``eq``, ``gt``, …)."""
    if isinstance(raw, str):
        return {"eq": integer()(raw, path)}
    bounds = {name: integer() for name in ("gt", "gte", "lt", "lte")}
    return dict(group(bounds)(raw, path))


def unmodelled(raw: Raw, path: str) -> Any:
    """A parameter Stripe knows and the sandbox does not act on: refused, unless it says nothing."""
    if raw in ("", "false") or (isinstance(raw, dict) and raw == {"enabled": "false"}):
        return None
    raise not_modelled(path)


def not_here(names: str) -> dict[str, Reader]:
    """Table rows for several such parameters."""
    return dict.fromkeys(names.split(), unmodelled)


ADDRESS: Fields = {
    name: clearable(text())
    for name in ("city", "country", "line1", "line2", "postal_code", "state")
}
EXPAND: Fields = {"expand": array(text(200), maximum=20)}
PAGING: Fields = {
    **EXPAND,
    "limit": integer(1, 100),
    "starting_after": text(),
    "ending_before": text(),
    "created": time_range,
}
