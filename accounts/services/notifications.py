"""Which e-mails a customer wants. The app that writes them says which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from accounts.models import Customer


@dataclass(frozen=True, slots=True)
class Choice:
    """One kind of e-mail; some have to be sent whatever is wanted."""

    kind: str
    label: str
    can_be_muted: bool


_SOURCES: list[Callable[[], Sequence[Choice]]] = []


def register(source: Callable[[], Sequence[Choice]]) -> None:
    """Add what lists kinds of e-mail, in the language of the page."""
    _SOURCES.append(source)


def choices() -> list[Choice]:
    """Every kind of e-mail."""
    return [choice for source in _SOURCES for choice in source()]


def choose(customer: Customer, wanted: Iterable[str]) -> None:
    """Send only these kinds, and those that have to be sent."""
    kinds = set(wanted)
    customer.muted_emails = [
        choice.kind for choice in choices() if choice.can_be_muted and choice.kind not in kinds
    ]
    customer.save(update_fields=["muted_emails"])
