"""The admin in a browser, as a member of staff sees it, in both lights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page

from billing_project.paths import VAR_DIR
from tests import live
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.pages import axe
from tests.pages.visits import Visitors, addresses
from tests.security import table
from tests.security.world import build

pytestmark = pytest.mark.browser

PICTURES = VAR_DIR / "screenshots"
SCHEMES = ("light", "dark")
DESK = (1440, 900)
# One page of each kind: the others are made of the same parts.
A_FEW = (
    "admin/",
    "admin/figures/<slug:slug>/",
    "admin/billing/payment/",
    "admin/accounts/customer/<path:object_id>/change/",
    "admin/accounts/user/<path:object_id>/change/",
    "admin/billing/payment/<path:object_id>/refund/",
)
# What is not of our making: rule, page and the element's selector. Anything else fails.
# Django's SelectFilter2.js names the icon of its help text, a span without a role; the boxes and
# the buttons beside it have names of their own.
_USER = "admin/accounts/user/<path:object_id>/change/"
_HELP = ".help-tooltip.search-label-icon"
KNOWN = {
    ("aria-prohibited-attr", _USER, f'label[for="id_user_permissions_input"] > {_HELP}'),
    ("aria-prohibited-attr", _USER, f"#id_user_permissions_filter_selected > label > {_HELP}"),
}


@dataclass(frozen=True)
class Stop:
    """One page of the admin."""

    route: str
    path: str


@dataclass(frozen=True)
class Tour:
    """The admin's pages, and the session of who may see all of them."""

    session: str
    stops: tuple[Stop, ...]


@pytest.fixture(scope="module")
def web() -> Iterator[live.Portal]:
    """The portal; nothing listens where its provider would be."""
    with live.Portal(processes=("web",)) as running:
        yield running


@pytest.fixture(scope="module")
def tour(web: live.Portal) -> Tour:
    """Every page of the admin with somebody's rows, those of acts included."""
    with web.orm(), only_rail(FakeRenewingRail()):
        table.prepare()
        world = build()
        staff = Visitors(world).staff
        stops = tuple(
            Stop(one.route, one.path)
            for one in addresses(world)
            if one.is_admin and "logout" not in one.route and _is_page(staff.get(one.path))
        )
        return Tour(staff.cookies[settings.SESSION_COOKIE_NAME].value, stops)


def _is_page(response: Any) -> bool:
    return response.status_code == 200 and b"<html" in getattr(response, "content", b"")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_page_of_each_kind_is_accessible(
    browser: Browser, web: live.Portal, tour: Tour, scheme: str
) -> None:
    few = [stop for stop in tour.stops if stop.route in A_FEW]

    problems = list(_problems(browser, web, tour.session, few, scheme))

    assert {stop.route for stop in few} == set(A_FEW)
    assert not problems, "\n".join(problems)


@pytest.mark.prove
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_is_accessible(
    browser: Browser, web: live.Portal, tour: Tour, scheme: str
) -> None:
    problems = list(_problems(browser, web, tour.session, tour.stops, scheme))

    assert len(tour.stops) > 100
    assert not problems, "\n".join(problems)


def _problems(
    browser: Browser, web: live.Portal, session: str, stops: Any, scheme: Any
) -> Iterator[str]:
    """What axe finds on each page that is not known; the pages are photographed."""
    width, height = DESK
    with browser.new_context(
        base_url=web.url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        locale="en-US",
        reduced_motion="reduce",
    ) as context:
        cookie: Any = {"name": settings.SESSION_COOKIE_NAME, "value": session, "url": web.url}
        context.add_cookies([cookie])
        page = context.new_page()
        for stop in stops:
            page.goto(stop.path, wait_until="load")
            if _is_dark(page) != (scheme == "dark"):
                yield f"{stop.path}: is not {scheme}"
            _picture(page, stop, scheme)
            yield from (
                f"{stop.path}: {found}"
                for found in axe.violations(page)
                if (found.rule, stop.route, found.target) not in KNOWN
            )


def _is_dark(page: Page) -> bool:
    """Whether the theme followed the browser."""
    dark: bool = page.evaluate("document.documentElement.classList.contains('dark')")
    return dark


def _picture(page: Page, stop: Stop, scheme: str) -> None:
    plain = "".join(one if one.isalnum() else "-" for one in stop.route)
    name = "-".join(part for part in plain.split("-") if part)[:90]
    folder = PICTURES / f"admin-{scheme}"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png", full_page=True)
