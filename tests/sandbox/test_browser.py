"""The pages in a real browser, JavaScript switched off."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from playwright.sync_api import Browser, Page, expect

from tests.sandbox.server import Sandbox, listening

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}


def fill(page: Page, number: str) -> None:
    page.fill("#email", "buyer@example.com")
    type_card(page, number)
    page.click("#pay")


def type_card(page: Page, number: str) -> None:
    page.fill("#card-number", number)
    page.fill("#expiry", "12/34")
    page.fill("#cvc", "123")


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


def premium(sandbox: Sandbox, shop: str, **params: Any) -> stripe.checkout.Session:
    """A session for a monthly plan."""
    line = {
        "quantity": 1,
        "price_data": {
            "currency": "usd",
            "unit_amount": 99_99,
            "recurring": {"interval": "month"},
            "product_data": {"name": "Premium"},
        },
    }
    done = f"{shop}/done?session={{CHECKOUT_SESSION_ID}}"
    return sandbox.session(mode="subscription", line_items=[line], success_url=done, **params)


def test_a_person_subscribes_fails_to_pay_recovers_and_cancels(
    sandbox: Sandbox, browser: Browser
) -> None:
    api = sandbox.api().v1
    customer = api.customers.create(params={"email": "buyer@example.com"}).id
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    with listening() as shop:
        session = premium(sandbox, shop.url, customer=customer)
        page.goto(str(session.url))
        expect(page.locator("#plan")).to_have_text("Subscribe to Premium")
        expect(page.locator("#total-due")).to_have_text("$99.99")
        type_card(page, "4242424242424242")
        page.click("#pay")
        page.wait_for_url(f"{shop.url}/done?session={session.id}")

    (subscription,) = api.subscriptions.list(params={"customer": customer}).data
    page.goto(sandbox.url)
    page.click(f"#decline-{subscription.id}")
    page.click("#clock-renewal")
    expect(page.locator(f"#{subscription.id} .badge")).to_have_text("past_due")

    link: Any = {"customer": customer, "return_url": sandbox.url}
    page.goto(api.billing_portal.sessions.create(params=link).url)
    expect(page.locator(".plan .badge")).to_have_text("Past due")
    page.click("#add-card")
    type_card(page, "4000002500003155")
    page.click("#save-card")
    page.click("#authorised")
    expect(page.locator(".saved-card").first).to_contain_text("3155 Default")
    page.click(".pay-invoice")
    page.click("#pay-saved")
    expect(page.locator("#invoice-status")).to_contain_text("Paid on")
    page.goto(api.billing_portal.sessions.create(params=link).url)
    page.click(".cancel-plan")
    page.click("#confirm-cancel")
    expect(page.locator(".plan-next")).to_contain_text("Ends on")
    page.click(".resume-plan")
    expect(page.locator(".plan-next")).to_contain_text("Renews on")
    context.close()
    assert api.subscriptions.retrieve(subscription.id).status == "active"
    assert sandbox.books()["currencies"]["usd"]["gross"] == 2 * 99_99


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_is_wider_than_the_screen(sandbox: Sandbox, browser: Browser, width: int) -> None:
    api = sandbox.api().v1
    customer = api.customers.create(params={"email": "buyer@example.com"}).id
    session = premium(sandbox, "http://127.0.0.1:1", customer=customer)
    sandbox.control(f"sessions/{session.id}/pay")
    invoice = api.invoices.list(params={"customer": customer}).data[0]
    portal = api.billing_portal.sessions.create(params={"customer": customer}).url
    context = browser.new_context(
        java_script_enabled=True, viewport={"width": width, "height": 900}
    )
    page = context.new_page()

    for url in (sandbox.url, portal, f"{portal}/payment-methods", invoice.hosted_invoice_url):
        page.goto(str(url))
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
    context.close()
