"""The staff home in a real browser: its charts are drawn, by this portal alone, on any screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from billing import ledger
from billing.models import Code
from billing.money import CREDIT
from common import clock
from tests import live
from tests.accounts.factories import signed_in
from tests.billing.staff import sign_in
from tests.billing.test_pages_browser import fits
from tests.factories import make_order, make_payment

pytestmark = pytest.mark.browser

# How many different colours a canvas shows: an empty one has a single one.
_COLOURS = """canvas => {
    const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
    const seen = new Set()
    for (let at = 0; at < all.length; at += 4) seen.add(all.slice(at, at + 4).join())
    return seen.size
}"""


@pytest.fixture(scope="module")
def web() -> Iterator[live.Portal]:
    """A portal on which credits were sold and used today."""
    with live.Portal(processes=("web",)) as running:
        with running.orm():
            now = clock.now()
            person = signed_in()
            make_payment(make_order(customer=person.customer), occurred_at=now)
            wallet = ledger.wallet(person.customer, CREDIT)
            ledger.spend(wallet, 10**9, code=Code.USAGE, key="u", occurred_at=now)
            ledger.recognise(occurred_at=now)
        yield running


def visit(
    browser: Browser,
    web: live.Portal,
    scheme: str = "light",
    width: int = 1440,
) -> Page:
    """The page of a superuser who is signed in."""
    with web.orm():
        staff = sign_in()
    context = browser.new_context(
        base_url=web.url,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 900},
    )
    for name, cookie in staff.cookies.items():
        context.add_cookies([{"name": name, "value": cookie.value, "url": web.url}])
    return context.new_page()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_charts_are_drawn_and_nothing_is_refused_or_fetched_elsewhere(
    web: live.Portal, browser: Browser, scheme: str, width: int
) -> None:
    page = visit(browser, web, scheme, width)
    said: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))

    page.goto("/admin/")

    expect(page.get_by_role("heading", name="Figures", exact=True)).to_be_visible()
    assert page.locator("canvas.chart").evaluate(_COLOURS) > 5
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert hosts - {""} == {urlsplit(web.url).netloc}  # "": pictures within the style sheet
    fits(page)


def test_charts_need_no_inline_script(web: live.Portal, browser: Browser) -> None:
    """The theme around them does; without it they are drawn all the same."""
    page = visit(browser, web)

    def strict(route: Route) -> None:
        answer = route.fetch()
        policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"
        headers = {**answer.headers, "content-security-policy": policy}
        route.fulfill(response=answer, headers=headers)

    page.route("**/admin/figures/revenue/", strict)
    page.goto("/admin/figures/revenue/")

    assert page.evaluate("typeof Chart") == "function"
    assert page.locator("canvas.chart").evaluate(_COLOURS) > 5


def test_somebody_chooses_a_range_and_looks_at_the_rows(web: live.Portal, browser: Browser) -> None:
    page = visit(browser, web)
    page.goto("/admin/")

    page.get_by_label("From", exact=True).fill("2026-01-01")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/admin/?from=2026-01-01**")

    expect(page.get_by_role("article").first).to_contain_text("$2.00")
    page.get_by_role("link", name="Rows of Revenue").click()
    expect(page).to_have_url(re.compile("/admin/figures/revenue/.from=2026-01-01"))
    page.get_by_text("As a table").click()
    expect(page.get_by_role("cell", name="$2.00").first).to_be_visible()
