"""The content policy as a browser applies it: nothing of a page is refused."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from accounts.models import User
from tests import live

pytestmark = pytest.mark.browser

STAFF = {"email": "staff@example.com", "password": "correct horse battery"}


@pytest.fixture(scope="module")
def web() -> Iterator[live.Portal]:
    with live.Portal(processes=("web",)) as running:
        with running.orm():
            User.objects.create_superuser(**STAFF)
        yield running


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser's console says against the page."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            said.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    return said


def test_the_log_in_page_is_styled_and_runs_htmx(
    web: live.Portal, page: Page, complaints: list[str]
) -> None:
    page.goto(f"{web.url}/accounts/login/")

    assert page.evaluate("typeof htmx") == "object"
    assert page.evaluate("getComputedStyle(document.querySelector('main')).maxWidth") != "none"
    assert complaints == []


def test_an_inline_script_does_not_run(web: live.Portal, page: Page) -> None:
    page.goto(f"{web.url}/accounts/login/")

    page.evaluate(
        "() => { const script = document.createElement('script');"
        " script.textContent = 'window.ran = true'; document.body.append(script) }"
    )

    assert page.evaluate("window.ran") is None


def test_the_admin_works_under_its_policy(
    web: live.Portal, page: Page, complaints: list[str]
) -> None:
    page.goto(f"{web.url}/admin/")
    page.locator("input[name=login]").fill(STAFF["email"])
    page.locator("input[name=password]").fill(STAFF["password"])
    page.locator("main button[type=submit]").click()
    page.wait_for_url("**/admin/")

    assert page.evaluate("typeof Alpine") == "object"
    assert complaints == []


def test_the_api_docs_show_the_operations(
    web: live.Portal, browser: Browser, page: Page, complaints: list[str]
) -> None:
    page.goto(f"{web.url}/api/docs")

    page.wait_for_selector(".opblock, .info .title")

    assert complaints == []
