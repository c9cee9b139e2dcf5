"""The checkout page in a real browser, JavaScript switched off."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.sandbox.server import Sandbox, listening

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}


def fill(page: Page, number: str) -> None:
    page.fill("#email", "buyer@example.com")
    page.fill("#card-number", number)
    page.fill("#expiry", "12/34")
    page.fill("#cvc", "123")
    page.click("#pay")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_on_a_phone_is_declined_challenged_and_pays(
    sandbox: Sandbox, browser: Browser, scheme: str
) -> None:
    with listening() as shop:
        session = sandbox.session(
            success_url=f"{shop.url}/done?session={{CHECKOUT_SESSION_ID}}",
            cancel_url=f"{shop.url}/back",
        )
        context = browser.new_context(
            java_script_enabled=False,
            color_scheme="dark" if scheme == "dark" else "light",
            viewport={"width": PHONE["width"], "height": PHONE["height"]},
        )
        page = context.new_page()
        page.goto(str(session.url))
        expect(page.locator(".banner")).to_contain_text("no real money")
        widest = page.locator("main").bounding_box()
        assert widest
        assert widest["width"] <= PHONE["width"]

        fill(page, "4000000000000002")
        expect(page.locator("#card-number-error")).to_have_text("Your card was declined.")
        fill(page, "4000002500003155")
        page.click("#authorised")

        page.wait_for_url(f"{shop.url}/done?session={session.id}")
        context.close()
    assert sandbox.books()["currencies"]["usd"]["gross"] == 500


def test_choosing_bank_debit_hides_the_card_fields(sandbox: Sandbox, browser: Browser) -> None:
    session = sandbox.session()
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(str(session.url))
    expect(page.locator("#card-number")).to_be_visible()

    page.check("#method-bank-debit")

    expect(page.locator("#card-number")).to_be_hidden()
    context.close()
