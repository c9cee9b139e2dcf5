"""What a page makes a browser load: little, ours alone, and nothing that it has to wait for."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.cache import cache as django_cache
from django.test import override_settings

from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.pages.visits import Address, Visitors, addresses
from tests.security import table
from tests.security.world import World, build

pytestmark = pytest.mark.django_db

MOST_BYTES = 150 * 1024
# As WhiteNoise compresses what is collected.
GZIP_LEVEL = 9
# Pages made of other people's parts, which draw their styles themselves: the admin's theme and
# the API's reader. Neither is for customers. They load nothing from elsewhere either.
OTHER_PEOPLES = ("/admin/", "/api/docs")
_URL = re.compile(r"""url\(\s*['"]?([^'")]+)""")


class Parts(HTMLParser):
    """What a page loads, what it says inline, and what it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.heading = ""
        self.main = ""
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is loaded and what stands inline."""
        has = {name: value or "" for name, value in attrs}
        is_data = has.get("type", "") in ("application/json", "application/ld+json")
        if tag == "link" and "stylesheet" in has.get("rel", ""):
            self.styles.append(has["href"])
        elif tag == "link":
            self.loaded.append(has.get("href", ""))
        elif tag == "script" and "src" in has:
            self.scripts.append(has["src"])
        elif tag in ("script", "style") and not is_data:
            self.inline.append(f"<{tag}>")
        elif tag in ("img", "iframe", "source", "video", "audio", "embed", "object"):
            self.loaded.append(has.get("src") or has.get("data", ""))
        self.inline += [name for name in has if name == "style" or re.fullmatch(r"on\w+", name)]
        self.inline += [name for name in has.values() if name.startswith("javascript:")]
        if tag in ("main", "h1", "title"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave what was entered."""
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        """Words of the heading and of the content."""
        if "h1" in self._inside:
            self.heading += data.strip()
        if "main" in self._inside:
            self.main += data.strip()


@pytest.fixture
def pages() -> Iterator[list[tuple[str, Address, Parts]]]:
    """Every HTML page with its parts, as each who may see it gets it."""
    with only_rail(FakeRenewingRail()), override_settings(ACCOUNT_RATE_LIMITS=False):
        table.prepare()
        django_cache.clear()
        yield list(_pages(build()))
        django_cache.clear()


def _pages(world: World) -> Iterator[tuple[str, Address, Parts]]:
    visitors = Visitors(world)
    for address in addresses(world):
        if "logout" in address.route:
            continue
        for name, client in visitors.of(address):
            response: Any = client.get(address.path)
            if not response.get("Content-Type", "").startswith("text/html"):
                continue
            if 300 <= response.status_code < 400:
                continue
            parts = Parts()
            parts.feed(response.content.decode())
            yield name, address, parts


def test_pages_are_light_ours_alone_and_whole(pages: list[tuple[str, Address, Parts]]) -> None:
    problems = [
        f"{name} {address.path}: {problem}"
        for name, address, parts in pages
        for problem in _problems(address, parts)
    ]

    assert not problems, "\n".join(sorted(set(problems)))
    assert len(pages) > 50


def _problems(address: Address, parts: Parts) -> Iterator[str]:
    files = [*parts.styles, *parts.scripts]
    for url in [*files, *parts.loaded, *_urls_in(parts.styles)]:
        if urlsplit(url).netloc and not url.startswith(settings.PUBLIC_URL):
            yield f"loads {url}"
    if address.path.startswith(OTHER_PEOPLES):
        return
    weight = sum(_compressed(url) for url in files)
    if weight > MOST_BYTES:
        yield f"ships {weight / 1024:.0f} KB: {files}"
    if parts.inline:
        yield f"has inline {sorted(set(parts.inline))}"
    if _is_part(parts):
        return
    if not parts.heading:
        yield "has no h1"
    if len(parts.main) < 20:
        yield "has no content without JavaScript"


def _is_part(parts: Parts) -> bool:
    """Whether it is a piece that htmx puts into a page."""
    return not parts.styles


@cache
def _compressed(url: str) -> int:
    return len(gzip.compress(_content(url), GZIP_LEVEL))


@cache
def _content(url: str) -> bytes:
    path = urlsplit(url).path.removeprefix(settings.STATIC_URL)
    found = finders.find(path)
    assert isinstance(found, str), f"{url} is not there"
    return Path(found).read_bytes()


def _urls_in(styles: list[str]) -> list[str]:
    """What style sheets load in their turn."""
    return [
        urljoin(url, inner)
        for url in styles
        for inner in _URL.findall(_content(url).decode())
        if not inner.startswith(("data:", "#", "%23"))
    ]
