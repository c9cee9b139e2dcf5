"""Every page in Russian: whatever a person reads there is Russian, or a name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import ClassVar

import pytest
from django.core.cache import cache
from django.test import Client, override_settings

from tests.billing.callers import text_of
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.pages.visits import signed_in_browser
from tests.security import table
from tests.security.table import For, Walked
from tests.security.world import World, build

pytestmark = pytest.mark.django_db(transaction=True)

# Names, and what machines read. Everything else with Latin letters is a sentence left behind.
NAMES = re.compile(
    r"""
    Billing\ portal | English | Basic | Premium | Enterprise | Free | \bSLA\b | \bFLUX\b
    | \bAPI\b | \bPDF\b | \bCSV\b | \bZIP\b | \bJSON\b | \bUTC\b | \bUSD\b | \bcookie\b | \bHTTPS?\b
    | https?://\S+ | [\w.+…-]+@[\w.-]+ | \w+\.ndjson | \b(?:INV|CN)-\d{4}-\d+
    | bp_(?:test|live)_\w+ | \b\w+:(?:read|write|purchase|cap)\b | spend_cap_reached
    | \b(?:pi|cs|in|sub)_\w+ | [0-9a-f]{8}-[0-9a-f-]{27} | [A-Z][A-Za-z]+/[A-Z][A-Za-z_/-]+
    # What the fake provider calls its parts.
    | (?:Unused|Remaining)\ time\ on\ \w+
    | Vera\ \w+ | Team\ Victory | \b[\w-]+-of-vera\b | var/mail
    """,
    re.VERBOSE,
)
LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
CYRILLIC = re.compile(r"[а-яё]{2,}", re.IGNORECASE)
SPOKEN = ("aria-label", "title", "placeholder", "alt")


class Reader(HTMLParser):
    """What a page says: its text, and what is read out of attributes."""

    silent: ClassVar[frozenset[str]] = frozenset({"script", "style", "code", "option"})

    def __init__(self) -> None:
        super().__init__()
        self.sentences: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.silent:
            self._open.append(tag)
        self.sentences += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            self._open.remove(tag)

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if text and not self._open:
            self.sentences.append(text)


@pytest.fixture
def world() -> Iterator[World]:
    """Somebody with one of everything, who chose Russian."""
    cache.clear()
    with only_rail(FakeRenewingRail()), override_settings(ACCOUNT_RATE_LIMITS=False):
        table.prepare()
        made = build()
        made.user.language = "ru"
        made.user.save(update_fields=["language"])
        yield made
    cache.clear()


def pages(world: World) -> Iterator[Walked]:
    """Every page that is for people, and not for staff."""
    for step in table.walked(world):
        is_page = not step.path.startswith(("/api/", "/admin/", "/health", "/ready", "/metrics"))
        if is_page and step.entry.reads and step.entry.whose in (For.PERSON, For.ANYBODY):
            yield step


def said_on(client: Client, step: Walked) -> list[str] | None:
    """What the page says; None where there is no page."""
    response = client.get(f"{step.path}?{step.entry.query}")
    if not response.headers.get("Content-Type", "").startswith("text/html"):
        return None
    if 300 <= response.status_code < 400:
        return None
    assert response.headers["Content-Language"] == "ru", step.path
    reader = Reader()
    reader.feed(text_of(response))
    return reader.sentences


def test_no_page_shows_a_russian_a_sentence_in_english(world: World) -> None:
    owner = signed_in_browser(world.user)
    stranger = Client(headers={"Accept-Language": "ru"})
    left_behind: dict[str, set[str]] = {}
    read = 0

    for step in pages(world):
        for client in (owner, stranger) if step.entry.whose == For.ANYBODY else (owner,):
            sentences = said_on(client, step)
            if sentences is None:
                continue
            read += 1
            for sentence in sentences:
                if LATIN_WORD.search(NAMES.sub(" ", sentence)):
                    left_behind.setdefault(sentence, set()).add(step.path)

    assert left_behind == {}
    assert read > 50


def test_no_page_shows_an_english_reader_a_sentence_in_russian(world: World) -> None:
    world.user.language = "en"
    world.user.save(update_fields=["language"])
    owner = signed_in_browser(world.user)
    strange: dict[str, str] = {}

    for step in pages(world):
        response = owner.get(f"{step.path}?{step.entry.query}", headers={"Accept-Language": "ru"})
        if response.headers.get("Content-Type", "").startswith("text/html"):
            reader = Reader()
            reader.feed(text_of(response))
            strange |= {one: step.path for one in reader.sentences if CYRILLIC.search(one)}

    assert set(strange) <= {"Русский"}, strange
