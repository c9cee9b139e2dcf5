"""The registry of notifiers: who tells the customer what happened (e-mail, Telegram, webhook).

It lies at the bottom, so that every app can tell of something without knowing who listens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

logger = logging.getLogger(__name__)

# Called in the transaction of what happened, with its name and the row it happened to. It writes
# down what is to be told and rings for a worker; it calls nobody.
Notifier = Callable[[str, Any], None]

_NOTIFIERS: dict[str, Notifier] = {}


@dataclass(frozen=True, slots=True)
class Letter:
    """An e-mail that an app asks for which cannot see billing; told as ``LETTER``.

    The fields are those of ``billing.services.emails.queue``.
    """

    kind: str
    customer: Any
    key: str
    context: Mapping[str, Any] = field(default_factory=dict)
    to: str = ""
    language: str = ""


LETTER = "letter"


def register(name: str, notifier: Notifier) -> None:
    """Add a notifier under its name, replacing an earlier one of that name."""
    _NOTIFIERS[name] = notifier


def forget(name: str) -> None:
    """Take a notifier out."""
    _NOTIFIERS.pop(name, None)


def tell(what: str, subject: Any) -> None:
    """Tell every notifier, in this transaction: what they write is kept or rolled back with it.

    Each is told in a savepoint. One that fails is logged and changes nothing else: money never
    waits for a letter.
    """
    for name, notifier in list(_NOTIFIERS.items()):
        try:
            with transaction.atomic():
                notifier(what, subject)
        except Exception:
            logger.exception("notifier failed", extra={"notifier": name, "what": what})


def write(letter: Letter) -> None:
    """Have an e-mail sent after this transaction, once per its key."""
    tell(LETTER, letter)
