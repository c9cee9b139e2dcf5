"""A newcomer in a browser: signs up, buys credits on the sandbox's pay page, sees them arrive."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from accounts.models import Customer, User
from billing.models import Order, OrderStatus, Payment
from billing.money import CREDIT
from tests import live
from tests.end_to_end import books
from tests.end_to_end.till import Till, wait_until

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
PHONE = {"width": 390, "height": 800}
# The browser shares two cores with the portal and its sandbox.
SOON_MS = 45_000


@pytest.fixture
def page(browser: Browser, portal: live.Portal) -> Iterator[Page]:
    """A visitor's page; links without a host go to the portal."""
    with browser.new_context(base_url=portal.url) as context:
        context.set_default_timeout(SOON_MS)
        yield context.new_page()


@pytest.fixture
def phone(browser: Browser, portal: live.Portal) -> Iterator[Page]:
    """The same on a phone."""
    with browser.new_context(
        base_url=portal.url, viewport={"width": PHONE["width"], "height": PHONE["height"]}
    ) as context:
        context.set_default_timeout(SOON_MS)
        yield context.new_page()


def sign_up(page: Page) -> str:
    """Fill in the sign-up page; the new user's address."""
    email = f"newcomer-{secrets.token_hex(4)}@example.com"
    page.goto("/accounts/signup/")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password1]").fill(PASSWORD)
    page.locator("input[name=password2]").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_url(re.compile(r"/billing/$"))
    return email


def confirm_address(page: Page, portal: live.Portal, email: str) -> None:
    """Follow the link in the mail that was sent to the address."""
    links: list[str] = []

    def has_come() -> bool:
        mails = [mail for mail in portal.mails() if email in mail]
        links[:] = re.findall(rf"{portal.url}/accounts/confirm-email/\S+", "\n".join(mails))
        return bool(links)

    wait_until(has_come, portal.mails)
    page.goto(links[0])
    page.get_by_role("button", name="Yes, confirm").click()
    expect(page.get_by_text(f"You have confirmed {email}")).to_be_visible()


def choose_small_pack(page: Page, portal: live.Portal) -> None:
    """From the dashboard to the pay page of the sandbox."""
    page.goto("/billing/")
    page.get_by_role("link", name="Buy credits").first.click()
    page.get_by_role("button", name="Buy for $5.00").click()
    page.wait_for_url(f"{portal.sandbox_url}/c/pay/*")
    expect(page.locator("#total")).to_have_text("$5.00")


def pay_with(page: Page, card: str) -> None:
    """Type a card into the pay page and press the button."""
    page.locator("#card-number").fill(card)
    page.locator("#expiry").fill("12/40")
    page.locator("#cvc").fill("123")
    page.locator("#pay").click()


def order_of(email: str) -> Order:
    return Order.objects.get(customer__email=email)


def fits(page: Page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_a_newcomer_signs_up_and_buys_credits_and_everybody_agrees(
    till: Till, portal: live.Portal, page: Page, browser: Browser
) -> None:
    email = sign_up(page)
    confirm_address(page, portal, email)
    with till.holding():
        choose_small_pack(page, portal)
        pay_with(page, "4242 4242 4242 4242")
        page.wait_for_url(re.compile(rf"{portal.url}/billing/orders/.*/success"))
        waiting = page.get_by_role("heading", name="Waiting for your payment")
        expect(waiting).to_be_visible()
        assert order_of(email).status == OrderStatus.OPEN
        page.evaluate("window.untouched = true")

    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=SOON_MS)
    assert page.evaluate("window.untouched"), "the page turned by itself, nobody reloaded it"
    expect(page.locator("#order-state")).to_contain_text("2,500 credits have been added")

    page.goto("/billing/")
    expect(page.locator("main")).to_contain_text("2,500 credits")
    page.goto("/billing/statement")
    expect(page.get_by_role("row").nth(1)).to_contain_text("+2,500 credits")
    customer = Customer.objects.get(email=email)
    assert till.spendable(customer) == 2_500 * CREDIT.unit_minor
    assert_staff_see_the_same(portal, browser, customer)
    till.settle_down()
    books.assert_agree(till)


def assert_staff_see_the_same(portal: live.Portal, browser: Browser, customer: Customer) -> None:
    """Look at the customer's page in the admin."""
    staff = f"staff-{secrets.token_hex(4)}@example.com"
    User.objects.create_superuser(staff, PASSWORD)
    with browser.new_context(base_url=portal.url) as context:
        context.set_default_timeout(SOON_MS)
        page = context.new_page()
        page.goto(f"/admin/accounts/customer/{customer.pk}/change/")
        page.locator("input[name=login]").fill(staff)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("main button[type=submit]").click()
        page.wait_for_url(re.compile(r"/admin/accounts/customer/"))
        content = page.locator("#content")
        expect(content).to_contain_text(customer.email)
        expect(content).to_contain_text("2,500 credits")
        expect(content).to_contain_text("$5.00")


def test_a_declined_card_buys_nothing_and_the_next_one_does(
    till: Till, portal: live.Portal, page: Page
) -> None:
    email = sign_up(page)
    choose_small_pack(page, portal)
    pay_with(page, "4000 0000 0000 0002")
    expect(page.get_by_role("alert").first).to_contain_text("declined")
    assert order_of(email).status == OrderStatus.OPEN
    assert not Payment.objects.filter(customer__email=email).exists()

    pay_with(page, "5555 5555 5555 4444")

    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=SOON_MS)
    assert Payment.objects.filter(customer__email=email).count() == 1
    till.settle_down()
    books.assert_agree(till)


def test_who_turns_back_is_told_so_and_can_still_pay(
    till: Till, portal: live.Portal, page: Page
) -> None:
    email = sign_up(page)
    choose_small_pack(page, portal)

    page.locator("#back").click()

    expect(page.get_by_role("heading", name="You have not paid")).to_be_visible()
    assert order_of(email).status == OrderStatus.OPEN
    page.get_by_role("button", name="Pay now").click()
    page.wait_for_url(f"{portal.sandbox_url}/c/pay/*")
    pay_with(page, "4242 4242 4242 4242")
    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=SOON_MS)
    assert Order.objects.filter(customer__email=email).count() == 1


def test_a_bank_that_asks_is_answered(till: Till, portal: live.Portal, page: Page) -> None:
    sign_up(page)
    choose_small_pack(page, portal)
    pay_with(page, "4000 0025 0000 3155")

    page.locator("#authorised").click()

    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=SOON_MS)


def test_a_phone_is_wide_enough_all_the_way(till: Till, portal: live.Portal, phone: Page) -> None:
    sign_up(phone)
    for path in ("/billing/", "/billing/buy", "/billing/transactions", "/billing/statement"):
        phone.goto(path)
        assert fits(phone), path
    phone.goto("/billing/buy")
    phone.get_by_role("button", name="Buy for $5.00").click()
    phone.wait_for_url(f"{portal.sandbox_url}/c/pay/*")
    assert fits(phone), "the pay page"
    pay_with(phone, "4242 4242 4242 4242")

    expect(phone.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=SOON_MS)

    assert fits(phone), "the success page"
    phone.goto("/billing/")
    expect(phone.locator("main")).to_contain_text("2,500 credits")
    assert fits(phone), "the dashboard"
