"""A plan paid from credits in a browser, on a phone, with and without script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from billing.models import Payment
from tests import live
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.prepaid import BASIC, ONE, give, spendable
from tests.billing.test_pages_browser import fits, visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def web() -> Iterator[live.Portal]:
    """The portal without its provider, which nobody asks here."""
    with live.Portal(processes=("web",)) as running:
        yield running


@pytest.fixture
def person(web: live.Portal) -> PersonClient:
    """Somebody new, signed in, with 10,000 credits: not enough for Basic."""
    with web.orm():
        person = signed_in()
        give(person.customer, 10_000 * ONE)
        return person


@pytest.mark.parametrize("script", [True, False])
def test_somebody_short_of_credits_gets_some_and_pays(
    web: live.Portal, browser: Browser, person: PersonClient, *, script: bool
) -> None:
    page = visit(browser, web, person, scheme="dark" if script else "light", script=script)
    page.goto("/billing/plans")
    page.locator("#plan-basic").get_by_role("button", name="Credits").click()
    expect(page.get_by_role("alert")).to_contain_text("not enough")
    expect(page.locator("main")).to_contain_text("4,995 credits")  # are missing
    expect(page.get_by_role("button", name="Buy for $10.00")).to_be_visible()
    fits(page)

    with web.orm():
        give(person.customer, 10_000 * ONE)
    page.get_by_role("link", name="Look again").click()
    expect(page.locator("main")).to_contain_text("5,005 credits")  # will be left
    fits(page)
    page.get_by_role("button", name="Pay 14,995 credits").dblclick()

    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible()
    fits(page)
    with web.orm():
        assert Payment.objects.filter(customer=person.customer).count() == 1
        assert spendable(person.customer) == 20_000 * ONE - BASIC
    page.go_back()
    page.goto("/billing/subscription")
    expect(page.locator("main")).to_contain_text("Basic")
