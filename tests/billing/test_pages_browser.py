"""The pages of billing in a browser: they live, they fit a phone, and they work without script."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect

from billing import ledger
from billing.models import Code, Order
from billing.money import CREDIT
from billing.services import orders
from common import clock
from tests import live
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.billing.subscribers import subscribe_twice
from tests.factories import make_order, make_payment

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def web() -> Iterator[live.Portal]:
    """The portal without its provider: nothing listens where the sandbox would be."""
    with live.Portal(processes=("web",)) as running:
        yield running


@pytest.fixture
def person(web: live.Portal) -> PersonClient:
    """Somebody new who is signed in."""
    with web.orm():
        return signed_in()


def visit(
    browser: Browser,
    web: live.Portal,
    person: PersonClient,
    *,
    scheme: str = "light",
    script: bool = True,
) -> Page:
    """A page in the person's browser, on a phone."""
    context = browser.new_context(
        base_url=web.url,
        viewport={"width": PHONE["width"], "height": PHONE["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=script,
    )
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": person.cookies[name].value, "url": web.url}])
    return context.new_page()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone_and_the_browser_has_nothing_to_say(
    web: live.Portal, browser: Browser, person: PersonClient, scheme: str
) -> None:
    with web.orm():
        paid = make_order(customer=person.customer, package="large")
        payment = make_payment(paid, tax_minor=10_50)
        make_payment(paid)
        waiting = make_order(customer=person.customer)
        ledger.spend(
            ledger.wallet(person.customer, CREDIT),
            1_234_567_891,
            code=Code.USAGE,
            key=f"use:{paid.pk}",
            group=f"ref:{person.customer.pk}:{'a-very-long-reference' * 5}",
            occurred_at=clock.now(),
        )
    page = visit(browser, web, person, scheme=scheme)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    for path in (
        "",
        "buy",
        "transactions",
        "statement",
        f"orders/{paid.pk}/success",
        f"orders/{waiting.pk}/success",
        f"orders/{waiting.pk}/cancelled",
        f"payments/{payment.pk}/receipt",
    ):
        page.goto(f"/billing/{path}")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], path
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_plans_and_subscriptions_fit_a_phone_and_work_without_script(
    web: live.Portal, browser: Browser, person: PersonClient, scheme: str
) -> None:
    page = visit(browser, web, person, scheme=scheme, script=False)
    page.goto("/billing/plans")
    fits(page)
    page.click("#per-year")
    expect(page.locator("#plan-premium")).to_contain_text("$999.99")
    fits(page)
    with web.orm(), only_rail(FakeRenewingRail()) as rail:
        _, second = subscribe_twice(person, rail)
        rail.fail(second)

    for path in ("plans", "plans?interval=year", "subscription", "subscription/cancel", ""):
        page.goto(f"/billing/{path}")
        fits(page)
        expect(page.locator("#notice-duplicate")).to_be_visible()
        expect(page.locator("#notice-past_due")).to_contain_text("The payment for Basic failed.")


def fits(page: Page) -> None:
    """Nothing of the page is wider than a phone; measured without a script of the page's own."""
    widest = max(
        (box["x"] + box["width"] for one in page.locator("main *").all()
         if (box := one.bounding_box()) is not None),
        default=0,
    )  # fmt: skip
    assert widest <= PHONE["width"], page.url


def test_the_success_page_turns_by_itself_when_the_payment_comes(
    web: live.Portal, browser: Browser, person: PersonClient
) -> None:
    with web.orm():
        order = make_order(customer=person.customer)
    page = visit(browser, web, person)
    page.goto(f"/billing/orders/{order.pk}/success")
    expect(page.get_by_role("heading", name="Waiting for your payment")).to_be_visible()
    page.evaluate("window.untouched = true")

    with web.orm():
        make_payment(order)

    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible(timeout=15_000)
    expect(page.locator("#order-state")).to_contain_text("2,500 credits have been added")
    assert page.evaluate("window.untouched")


def test_polling_leaves_the_focus_where_it_is(
    web: live.Portal, browser: Browser, person: PersonClient
) -> None:
    with web.orm():
        order = make_order(customer=person.customer)
    page = visit(browser, web, person)
    page.goto(f"/billing/orders/{order.pk}/success")
    page.get_by_role("link", name="Check again").focus()

    with page.expect_response(lambda answer: "shown=" in answer.url, timeout=15_000) as polled:
        pass

    assert polled.value.status == 204
    expect(page.get_by_role("link", name="Check again")).to_be_focused()


def test_a_quote_appears_while_the_amount_is_typed(
    web: live.Portal, browser: Browser, person: PersonClient
) -> None:
    page = visit(browser, web, person)
    page.goto("/billing/buy")

    page.get_by_label("Amount in USD").fill("12.5")

    expect(page.locator("#quote")).to_contain_text("6,250 credits")


def test_without_script_everything_still_works(
    web: live.Portal, browser: Browser, person: PersonClient
) -> None:
    with web.orm():
        order = make_order(customer=person.customer)
    page = visit(browser, web, person, script=False)

    page.goto("/billing/buy")
    page.get_by_label("Amount in USD").fill("0.5")
    page.get_by_role("button", name="Buy this amount").click()
    expect(page.locator("#id_amount_error")).to_contain_text("Choose an amount")

    page.goto(f"/billing/orders/{order.pk}/success")
    with web.orm():
        make_payment(order)
    page.get_by_role("link", name="Check again").click()
    expect(page.get_by_role("heading", name="Paid, thank you")).to_be_visible()


def test_with_the_provider_out_of_reach_the_order_is_kept(
    web: live.Portal, browser: Browser, person: PersonClient
) -> None:
    page = visit(browser, web, person)
    page.goto("/billing/buy")

    page.get_by_role("button", name="Buy for $5.00").click()

    expect(page.get_by_role("alert").first).to_contain_text("Nothing was charged")
    expect(page.get_by_role("button", name="Pay now")).to_be_visible()
    with web.orm():
        kept = Order.objects.get(customer=person.customer)
        assert kept.is_open
        assert not orders.is_overdue(kept)
