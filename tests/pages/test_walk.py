"""Every page in a browser, as a person would meet it: in two sizes, both lights, two languages.

Pictures of what was seen are kept under var/screenshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page

from billing_project.paths import BASE_DIR, VAR_DIR
from tests import live
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.pages import axe
from tests.pages.states import Stop, stops
from tests.security import table
from tests.security.world import build

pytestmark = pytest.mark.browser

PICTURES = VAR_DIR / "screenshots"
SIZES = {"phone": (390, 844), "desk": (1440, 900)}
CATALOGUE = BASE_DIR / "locale" / "ru" / "LC_MESSAGES" / "django.po"
# What a person reads on a page, labels of controls included; codes and what was typed do not count.
WORDS = """() => {
    const left = [document.title];
    const walk = node => {
        if (node.nodeType === 3) { left.push(node.data); return; }
        if (node.nodeType !== 1 || node.matches("code, script, style, textarea")) return;
        if (node.matches("option:not(:checked), [translate=no], [lang=en]")) return;
        for (const name of ["aria-label", "placeholder", "title", "alt"])
            if (node.getAttribute(name)) left.push(node.getAttribute(name));
        for (const one of node.childNodes) walk(one);
    };
    walk(document.body);
    return left.map(text => text.trim()).filter(text => text);
}"""
# Addresses, ids, scopes and paths.
CODES = re.compile(r"\S+@\S+|\S*[/:_]\S*|[\w-]*\d[\w-]*|\w+-of-\w+")
# Names and brands, which are the same in every language.
SAME_EVERYWHERE = frozenset(
    re.findall(
        r"\S+",
        """API CSV PDF JSON HTTP URL TOTP SMS USD EUR XTR USDC UTC VAT Stripe Telegram Stars SANDBOX
        Billing portal English Basic Premium Enterprise Free Pro Creator Studio SLA Vera Victim
        Team Victory Nova Newcomer Tess Trouble Bea Behind Authenticator Google Authy""",
    )
)


@pytest.fixture(scope="module")
def web() -> Iterator[live.Portal]:
    """The portal; nothing listens where its provider would be."""
    with live.Portal(processes=("web",)) as running:
        yield running


@pytest.fixture(scope="module")
def tour(web: live.Portal) -> list[Stop]:
    """Every page there is to see, in every state."""
    with web.orm(), only_rail(FakeRenewingRail()):
        table.prepare()
        return list(stops(build()))


@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_whole_and_accessible(
    browser: Browser, web: live.Portal, tour: list[Stop], size: str
) -> None:
    scheme = "light" if size == "phone" else "dark"

    problems = [
        problem
        for stop, page in _visits(browser, web, tour, size=size, scheme=scheme)
        for problem in [*_looks(stop, page), *_axe(stop, page)]
    ]

    assert len(tour) > 60
    assert not problems, "\n".join(problems)


@pytest.mark.prove
@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_accessible_in_the_other_light_too(
    browser: Browser, web: live.Portal, tour: list[Stop], size: str
) -> None:
    scheme = "dark" if size == "phone" else "light"

    problems = [
        problem
        for stop, page in _visits(browser, web, tour, size=size, scheme=scheme)
        for problem in [*_axe(stop, page), *_dialogs(stop, page)]
    ]

    assert not problems, "\n".join(problems)


@pytest.mark.skipif(not CATALOGUE.exists(), reason="there is no Russian catalogue yet")
def test_every_page_speaks_russian_throughout(
    browser: Browser, web: live.Portal, tour: list[Stop]
) -> None:
    problems = [
        problem
        for stop, page in _visits(browser, web, tour, size="phone", scheme="light", language="ru")
        for problem in [*_looks(stop, page), *_untranslated(stop, page)]
    ]

    assert not problems, "\n".join(problems)


def _visits(
    browser: Browser,
    web: live.Portal,
    tour: list[Stop],
    *,
    size: str,
    scheme: Any,
    language: str = "en",
) -> Iterator[tuple[Stop, Page]]:
    """Each page in turn, opened and photographed; what the console said hangs on the page."""
    width, height = SIZES[size]
    folder = PICTURES / f"{size}-{scheme}-{language}"
    with browser.new_context(
        base_url=web.url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        locale="ru-RU" if language == "ru" else "en-US",
        reduced_motion="reduce",
    ) as context:
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        for stop in tour:
            _sign_in(context, web, stop, language)
            said.clear()
            answer = page.goto(stop.path, wait_until="load")
            # A browser tells the page's own status as an error.
            own = f"status of {answer.status} " if answer else "nothing"
            page.said = [line for line in said if own not in line]  # type: ignore[attr-defined]
            _picture(page, folder / f"{stop.name}.png")
            yield stop, page


def _sign_in(context: BrowserContext, web: live.Portal, stop: Stop, language: str) -> None:
    context.clear_cookies()
    cookies = {settings.LANGUAGE_COOKIE_NAME: language, settings.SESSION_COOKIE_NAME: stop.session}
    context.add_cookies(
        [{"name": name, "value": value, "url": web.url} for name, value in cookies.items() if value]
    )


def _picture(page: Page, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=file, full_page=True)


def _looks(stop: Stop, page: Page) -> Iterator[str]:
    """What a person would miss: a heading, a title, the edge of the page; and what went wrong."""
    heading = page.locator("main h1")
    if heading.count() != 1 or not heading.first.is_visible():
        yield f"{stop.name}: {heading.count()} headings"
    if not re.match(r"\S.* · \S", page.title()):
        yield f"{stop.name}: is titled {page.title()!r}"
    too_wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    if too_wide > 0:
        yield f"{stop.name}: {too_wide} pixels too wide"
    for line in page.said:  # type: ignore[attr-defined]
        yield f"{stop.name}: the console says {line}"


def _axe(stop: Stop, page: Page) -> Iterator[str]:
    """What axe finds serious or critical."""
    for found in axe.violations(page):
        yield f"{stop.name}: {found}"


def _dialogs(stop: Stop, page: Page) -> Iterator[str]:
    """Open each dialog, look, and close it with the keyboard."""
    for number in range(page.locator("[data-dialog]").count()):
        opener = page.locator("[data-dialog]").nth(number)
        name = opener.get_attribute("data-dialog")
        opener.click()
        dialog = page.locator(f"dialog#{name}[open]")
        if not dialog.is_visible():
            yield f"{stop.name}: the dialog {name} does not open"
            continue
        yield from _axe(stop, page)
        page.keyboard.press("Escape")
        if dialog.is_visible():
            yield f"{stop.name}: the dialog {name} does not close"


def _untranslated(stop: Stop, page: Page) -> Iterator[str]:
    """Texts with Latin words that are no names."""
    if page.locator("html").get_attribute("lang") != "ru":
        yield f"{stop.name}: is not in Russian"
    for text in page.evaluate(WORDS):
        words = re.findall(r"[A-Za-z]{3,}", CODES.sub(" ", text))
        if any(word not in SAME_EVERYWHERE for word in words):
            yield f"{stop.name}: {text[:90]!r}"
