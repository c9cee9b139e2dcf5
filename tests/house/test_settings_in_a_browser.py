"""The settings as a person works through them in a browser."""

from __future__ import annotations

import email
import email.policy
import re
import time
from collections.abc import Callable, Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Browser, Page, expect

from tests import live
from tests.accounts.factories import PASSWORD, make_person

pytestmark = pytest.mark.browser

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture(scope="module")
def web() -> Iterator[live.Portal]:
    with live.Portal(processes=("web", "worker")) as running:
        with running.orm():
            make_person(ADA, name="Ada")
            make_person(GRACE, name="Grace")
        yield running


@pytest.fixture
def visitor(browser: Browser, web: live.Portal) -> Iterator[Callable[[], Page]]:
    """Opens pages of fresh visitors, with the portal's address before every path."""
    contexts = []

    def open_page() -> Page:
        contexts.append(browser.new_context(base_url=web.url))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()


def log_in(page: Page, who: str) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(who)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()


def confirm(page: Page) -> None:
    page.wait_for_url("**/accounts/reauthenticate/**")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def next_code(secret: str, used: str = "") -> str:
    """What the app shows, once it shows another code than ``used``."""
    while True:
        left = 30 - time.time() % 30
        code = str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
        if code != used and left > 5:
            return code
        time.sleep(min(left, 1))


def test_a_second_factor_is_set_up_and_asked_for(
    web: live.Portal, visitor: Callable[[], Page]
) -> None:
    page = visitor()
    log_in(page, GRACE)
    page.goto("/settings/security")
    page.get_by_role("link", name="Set up an app").click()
    confirm(page)

    secret = page.get_by_label("The key, to type it").input_value()
    assert page.get_by_role("img", name="The key, as a square").evaluate("e => e.naturalWidth") > 0
    code = next_code(secret)
    page.get_by_label("Authenticator code").fill(code)
    page.get_by_role("button", name="Switch on").click()
    page.wait_for_url("**/recovery-codes/")
    recovery = page.get_by_role("main").get_by_role("listitem").first.inner_text()
    expect(page.get_by_text("10 codes are left")).to_be_visible()

    by_app = visitor()
    log_in(by_app, GRACE)
    by_app.get_by_label("Code").fill("000000")
    by_app.get_by_role("button", name="Log in").click()
    expect(by_app.get_by_text("Incorrect code.")).to_be_visible()
    by_app.get_by_label("Code").fill(next_code(secret, used=code))
    by_app.get_by_role("button", name="Log in").click()
    by_app.wait_for_url("**/billing/")

    by_recovery = visitor()
    log_in(by_recovery, GRACE)
    by_recovery.get_by_label("Code").fill(recovery)
    by_recovery.get_by_role("button", name="Log in").click()
    by_recovery.wait_for_url("**/billing/")
    by_recovery.goto("/settings/security")
    expect(by_recovery.get_by_text("9 recovery codes are left")).to_be_visible()


def test_somebody_is_invited_signs_up_joins_and_switches(
    web: live.Portal, visitor: Callable[[], Page]
) -> None:
    owner = visitor()
    log_in(owner, ADA)
    owner.goto("/settings/team")
    owner.get_by_role("link", name="Open a team").click()
    owner.get_by_label("Name of the team").fill("Analytical Engines")
    owner.get_by_role("button", name="Open the team").click()
    owner.get_by_role("link", name="Invite").click()
    owner.get_by_label("E-mail address").fill("guest@example.com")
    owner.get_by_label("Billing:").check()
    owner.get_by_role("button", name="Send the invitation").click()
    expect(owner.get_by_text("An invitation is on its way to guest@example.com.")).to_be_visible()

    guest = visitor()
    guest.goto(link_sent_to(web, "guest@example.com"))
    expect(guest.get_by_text("invites you to join Analytical Engines")).to_be_visible()
    guest.get_by_role("main").get_by_role("link", name="Sign up").click()
    guest.get_by_label("Email").fill("guest@example.com")
    guest.get_by_label("Password", exact=True).fill(PASSWORD)
    guest.get_by_label("Password (again)").fill(PASSWORD)
    guest.get_by_role("main").get_by_role("button", name="Sign up").click()
    guest.get_by_role("button", name="Join").click()
    expect(guest.get_by_role("heading", name="Analytical Engines")).to_be_visible()

    switched = guest.get_by_role("main").get_by_role("button", name="Switch")
    switched.click()
    expect(guest.get_by_text("You act for guest@example.com now.")).to_be_visible()
    guest.locator("#account-menu summary").click()
    guest.locator("#account-menu").get_by_role("button", name="Analytical Engines").click()
    expect(guest.get_by_text("You act for Analytical Engines now.")).to_be_visible()

    owner.reload()
    expect(owner.get_by_text("Joined: guest@example.com")).to_be_visible()


def link_sent_to(web: live.Portal, address: str) -> str:
    """The path of the invitation's link in the message to that address, once it was sent."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for text in web.mails():
            if address in text:
                message = email.message_from_string(text, policy=email.policy.default)
                body = message.get_body(("plain",))
                found = re.search(r"/settings/invitations/\S+", body.get_content() if body else "")
                if found:
                    return found[0]
        time.sleep(0.3)
    raise AssertionError("no invitation was sent")
