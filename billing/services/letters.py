"""What an e-mail says, before it has a form: words and figures, in the language that is active.

Each kind has one function that reads what the e-mail is about and says it. The same letter becomes
HTML and plain text (services/outbox.py), so the two never differ.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse
from django.utils import dateformat, formats
from django.utils.translation import gettext as _

from accounts.models import Customer
from billing.models import Email

LONGEST_NAME = 80
LONGEST_SUBJECT = 150


@dataclass(frozen=True, slots=True)
class Button:
    """Where the reader goes from here."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes along."""

    name: str
    content: bytes
    mime_type: str


@dataclass(frozen=True, slots=True)
class Letter:
    """One e-mail's words. ``figure`` is the amount it is about; ``facts`` are names and values."""

    subject: str
    title: str
    body: Sequence[str] = ()
    figure: str = ""
    facts: Sequence[tuple[str, str]] = ()
    button: Button | None = None
    notes: Sequence[str] = ()
    attachments: Sequence[Attachment] = ()

    @property
    def preview(self) -> str:
        """The line that mail programs show beside the subject."""
        return self.body[0] if self.body else self.title


class NotNeeded(Exception):
    """What the e-mail would tell is not so any more; it is dropped, and this says why."""


class NotYet(Exception):
    """Something that belongs to it is being written; it is tried again in a moment."""


Writer = Callable[[Email], Letter]

_WRITERS: dict[str, Writer] = {}


def of(*kinds: str) -> Callable[[Writer], Writer]:
    """Makes a function the writer of these kinds."""

    def register(writer: Writer) -> Writer:
        _WRITERS.update(dict.fromkeys(kinds, writer))
        return writer

    return register


def written_kinds() -> set[str]:
    """The kinds that somebody can write."""
    return set(_WRITERS)


def write(email: Email) -> Letter:
    """The letter of an e-mail, from what is so now. Raises NotNeeded and NotYet."""
    letter = _WRITERS[email.kind](email)
    return replace(letter, subject=_cut(one_line(letter.subject), LONGEST_SUBJECT))


def link(name: str, *arguments: object) -> str:
    """The absolute address of one of our pages."""
    return address(reverse(name, args=arguments))


def address(path: str) -> str:
    """The absolute address of a path of ours; what is absolute already stays as it is."""
    return urljoin(f"{settings.PUBLIC_URL}/", path)


def day(moment: datetime, customer: Customer) -> str:
    """The day where the customer is, e.g. 21 November 2026."""
    return formats.date_format(moment.astimezone(customer.zone), "DATE_FORMAT")


def minute(moment: datetime, customer: Customer) -> str:
    """The day and the time where the customer is, and which time that is."""
    local = moment.astimezone(customer.zone)
    return f"{day(moment, customer)}, {dateformat.time_format(local, 'H:i')} ({local:%Z})"


def brand() -> str:
    """Whose portal this is."""
    name: str = settings.SELLER["name"]
    return one_line(name)


def name(text: str) -> str:
    """A name somebody gave, harmless: one line, not too long, nothing invisible in it."""
    return _cut(one_line(text), LONGEST_NAME)


def foreign_name(text: str) -> str:
    """The same for those who do not know who chose it: mail programs make no link of it."""
    return name(text).replace(".", ".\u2060").replace("/", "\u2060/\u2060").replace("@", "\u2060@")


def one_line(text: str) -> str:
    """Without line breaks, control characters and marks that turn text around."""
    visible = (" " if _is_hidden(char) else char for char in str(text))
    return " ".join("".join(visible).split())


def greeting_facts(customer: Customer) -> list[tuple[str, str]]:
    """Whose it is, for people who act for several."""
    return [(_("Account"), name(customer.name or customer.email))]


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char not in "\u00ad\u2060"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
