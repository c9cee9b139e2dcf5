"""The registry of notifiers: who tells the customer what happened (e-mail, Telegram, webhook)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction

# Called after commit with what happened and the row it happened to; must not raise or block.
Notifier = Callable[[str, Any], None]

_NOTIFIERS: dict[str, Notifier] = {}


def register(name: str, notifier: Notifier) -> None:
    """Add a notifier under its name, replacing an earlier one of that name."""
    _NOTIFIERS[name] = notifier


def tell(what: str, subject: Any) -> None:
    """Tell every notifier once the transaction has committed; their failures stay theirs."""
    for notifier in _NOTIFIERS.values():
        transaction.on_commit(partial(notifier, what, subject), robust=True)
