"""A subscriber in a browser: a year of Premium, a better plan, second thoughts, the next year."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from billing import selectors
from billing.models import Payment, Subscription, SubscriptionStatus
from tests import live
from tests.end_to_end import books
from tests.end_to_end.subscribers import DECLINES_LATER, advance, change_card
from tests.end_to_end.test_browser import SOON_MS, fits, pay_with, sign_up
from tests.end_to_end.till import Till

pytestmark = pytest.mark.browser

GOOD = "4242 4242 4242 4242"


@pytest.fixture
def page(browser: Browser, portal: live.Portal) -> Iterator[Page]:
    """A visitor's page on a phone; links without a host go to the portal."""
    with browser.new_context(
        base_url=portal.url, viewport={"width": 390, "height": 800}
    ) as context:
        context.set_default_timeout(SOON_MS)
        yield context.new_page()


def subscribe(page: Page, portal: live.Portal, plan: str, interval: str) -> None:
    """From the plans page over the sandbox's pay page to the success page."""
    page.goto(f"/billing/plans?interval={interval}")
    assert fits(page), "the plans"
    page.locator(f"#buy-{plan}-{interval}-card").click()
    page.wait_for_url(f"{portal.sandbox_url}/c/pay/*")
    pay_with(page, GOOD)
    page.wait_for_url(re.compile(rf"{portal.url}/billing/orders/.*/success"))
    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=SOON_MS)


def test_a_year_of_premium_is_bought_upgraded_cancelled_resumed_and_renewed_once(
    till: Till, portal: live.Portal, page: Page
) -> None:
    email = sign_up(page)
    subscribe(page, portal, "premium", "year")
    subscription = Subscription.objects.get(customer__email=email)
    assert selectors.entitlements(subscription.customer).plan.slug == "premium"
    page.goto("/billing/subscription")
    expect(page.locator("#subscription-card")).to_contain_text("Premium")
    advance(till, timedelta(days=40), step=timedelta(days=40))

    page.goto("/billing/plans?interval=year")
    page.locator("#change-enterprise-year").click()
    shown = page.locator("#quote-total").inner_text()
    assert fits(page), "the change"
    page.locator("#confirm-change").click()
    expect(page.locator("#subscription-card")).to_contain_text("Enterprise")
    till.settle_down()
    charged = Payment.objects.filter(customer__email=email).order_by("-pk")[0]
    assert shown == str(charged.amount)
    assert selectors.entitlements(subscription.customer).plan.slug == "enterprise"

    page.goto("/billing/subscription")
    page.locator("#cancel").click()
    expect(page.locator("#lost")).to_be_visible()
    page.locator("#confirm-cancel").click()
    page.locator("#resume").click()
    expect(page.locator("#cancel")).to_be_visible()
    subscription.refresh_from_db()
    assert subscription.cancels_at is None

    advance(till, timedelta(days=326), step=timedelta(days=163))
    page.goto("/billing/subscription")
    expect(page.locator("#history > li")).to_have_count(3)
    assert Payment.objects.filter(customer__email=email).count() == 3
    assert not Payment.objects.filter(customer__email=email, order=None).exists()
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    books.assert_agree(till)


def test_who_cannot_pay_is_told_so_on_every_page_and_mends_it_at_the_provider(
    till: Till, portal: live.Portal, page: Page
) -> None:
    email = sign_up(page)
    subscribe(page, portal, "basic", "month")
    subscription = Subscription.objects.get(customer__email=email)
    change_card(till, subscription.customer, DECLINES_LATER)
    advance(till, timedelta(days=33), step=timedelta(days=33))
    page.goto("/billing/transactions")
    expect(page.locator("#notice-past_due")).to_contain_text("The payment for Basic failed")

    page.locator("#notice-past_due button").click()
    page.wait_for_url(f"{portal.sandbox_url}/p/session/*")
    assert fits(page), "the provider's page"
    page.locator("#add-card").click()
    type_card(page, GOOD)
    page.locator("#save-card").click()
    page.locator(".pay-invoice").click()
    page.locator("#pay-saved").click()
    expect(page.locator("#invoice-status")).to_contain_text("Paid")
    till.settle_down()

    page.goto("/billing/")
    expect(page.locator("#notice-past_due")).to_have_count(0)
    subscription.refresh_from_db()
    assert subscription.status == SubscriptionStatus.ACTIVE
    books.assert_agree(till)


def type_card(page: Page, number: str) -> None:
    """Fill in the fields of a card on a page of the sandbox."""
    page.locator("#card-number").fill(number)
    page.locator("#expiry").fill("12/40")
    page.locator("#cvc").fill("123")
