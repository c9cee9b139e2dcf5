"""Buying credits without a mouse: log in, choose, pay; and always see where one is."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import live
from tests.accounts.factories import PASSWORD, make_person

pytestmark = pytest.mark.browser

MOST_TABS = 60
SOON_MS = 45_000
# Whether what has the focus shows it: by an outline, or a ring around it, or the caret in a frame.
SEEN = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return true;
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    const inside = box.bottom > 0 && box.top < innerHeight && box.width > 0 && box.height > 0;
    return inside && (ring || style.boxShadow !== "none");
}"""


@pytest.fixture
def page(browser: Browser, portal: live.Portal) -> Iterator[Page]:
    """A visitor's page; links without a host go to the portal."""
    with browser.new_context(
        base_url=portal.url, viewport={"width": 1440, "height": 900}, reduced_motion="reduce"
    ) as context:
        context.set_default_timeout(SOON_MS)
        yield context.new_page()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until it has the focus; every stop on the way shows that it has it."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
        assert page.evaluate(SEEN), f"the focus cannot be seen: {where}"
        if page.locator(selector).first.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError(f"{selector} is not reached with Tab")


def test_credits_are_bought_with_the_keyboard_alone(portal: live.Portal, page: Page) -> None:
    with portal.orm():
        user = make_person()

    page.goto("/accounts/login/?next=/billing/")
    tab_to(page, "input[name=login]")
    page.keyboard.type(user.email)
    tab_to(page, "input[name=password]")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{portal.url}/billing/")

    tab_to(page, "a[href$='/billing/buy']")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{portal.url}/billing/buy")
    tab_to(page, "main button:has-text('$5.00')")
    page.keyboard.press("Enter")

    page.wait_for_url(f"{portal.sandbox_url}/c/pay/*")
    for field, text in (
        ("#card-number", "4242424242424242"),
        ("#expiry", "12/40"),
        ("#cvc", "123"),
    ):
        tab_to(page, field)
        page.keyboard.type(text)
    tab_to(page, "#pay")
    page.keyboard.press("Enter")

    page.wait_for_url(re.compile(rf"{portal.url}/billing/orders/.*/success"))
    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=SOON_MS)
    tab_to(page, "main a")
