"""What never leaves in a log or an error report: secrets, card data, sessions, bodies of mails."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
DEEPEST = 6

# What stands in front of a secret stays, so that a reader knows what kind it was.
_SECRETS = re.compile(
    r"""
    (?P<keep>
        \b(?:sk|rk)_(?:test|live)_        # Stripe's keys
      | \bwhsec_ | \bbp_(?:test|live)_    # webhook secrets, keys of our API
      | \b(?:pi|seti|cs|src)_\w+?_secret_ # client secrets of Stripe's objects
      | \bBearer\s+ | \bBasic\s+(?=[\w+/]{16})
      | \b\d{6,12}:(?=[\w-]{30,})         # tokens of Telegram bots
      | /confirm-email/ | /password/reset/key/
      | \b(?:password|passwd|secret|api_?key|access_token|token|sessionid|csrftoken|cvc|cvv)
        ["']?\s*[=:]\s*["']?
      | (?:\b|__Host-)portal(?:_session)?=
    )
    [^\s"',;&<>)}\]]+
    | (?P<header>\b(?:Proxy-)?(?:Authorization|Set-Cookie|Cookie)["']?\s*[:=]\s*)[^\r\n]+
    | (?P<address>://[^/\s:@]*:)[^\s@/]+(?=@)
    """,
    re.VERBOSE | re.IGNORECASE,
)
# 13 to 19 digits, alone or in groups, that begin like a card of any brand.
_CARD = re.compile(r"(?<![\w.+-])(?:[2-6](?:[ -]?\d){12,18})(?![\w-]|\.\d)")
_SECRET_NAME = re.compile(
    r"(?:^|[_-])(?:password\d?|passwd|secret|token|authorization|cookies?|api_?key|session(?:_?id|_key)?"
    r"|csrf\w*|signature|dsn|card(?:_?number)?|cvc|cvv|pan)$"
    r"|^(?:body|html|html_body|text_body|alternatives|payload)$",
    re.IGNORECASE,
)


def text(value: str) -> str:
    """The same text with every secret replaced by ``***``."""
    value = _SECRETS.sub(_keep_name, value)
    return _CARD.sub(_hide_card, value)


def field(name: object, found: Any, depth: int = 0) -> Any:
    """What is stored under a name; hidden whatever it is when the name says that it is secret."""
    is_secret = isinstance(name, str) and _SECRET_NAME.search(name) is not None
    return HIDDEN if is_secret and found is not None else value(found, depth)


def value(found: Any, depth: int = 0) -> Any:
    """The same thing, secrets replaced wherever they are in it; what is too deep is hidden."""
    if isinstance(found, str):
        return text(found)
    if found is None or isinstance(found, bool | float):
        return found
    if isinstance(found, int):
        return HIDDEN if _CARD.fullmatch(str(found)) and _is_card(str(found)) else found
    if depth >= DEEPEST:
        return HIDDEN
    if isinstance(found, Mapping):
        return {name: field(name, within, depth + 1) for name, within in found.items()}
    if isinstance(found, list | tuple | set | frozenset):
        return [value(within, depth + 1) for within in found]
    return text(found.decode(errors="replace") if isinstance(found, bytes) else str(found))


def _keep_name(match: re.Match[str]) -> str:
    kept = match["keep"] or match["header"] or match["address"] or ""
    return kept + HIDDEN


def _hide_card(match: re.Match[str]) -> str:
    return HIDDEN if _is_card(match[0]) else match[0]


def _is_card(written: str) -> bool:
    """Whether the digits pass Luhn's check, as every card number does."""
    digits = [int(digit) for digit in written if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
