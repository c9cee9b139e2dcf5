"""What every test stands on: PostgreSQL and Redis of its own, a database cloned per process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests import environment

environment.prepare()

from django.conf import settings  # noqa: E402

# Collected assets are the live portal's business; pages under test need no manifest.
settings.STORAGES["staticfiles"]["BACKEND"] = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
)
settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
# The slow hashes are Django's to test.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

from django.test import TransactionTestCase  # noqa: E402
from pytest_django.plugin import DjangoDbBlocker, blocking_manager_key  # noqa: E402

import billing_project.celery  # noqa: E402, F401

if TYPE_CHECKING:
    from tests import live


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SKIPPED_BROWSER = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Hand the database guard to what runs outside test functions (tests/live.py)."""
    environment.DB_BLOCKER = config.stash[blocking_manager_key]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a browser, skip what needs one, except in CI, where its absence is a failure."""
    if browser_program() is not None or os.environ.get("CI"):
        return
    for item in items:
        if item.get_closest_marker("browser"):
            config.stash[SKIPPED_BROWSER] = True
            item.add_marker(pytest.mark.skip(reason="no Chromium or Chrome on PATH"))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say in one line that the browser tests did not run."""
    if config.stash.get(SKIPPED_BROWSER, False):
        terminalreporter.write_line("Browser tests were skipped: no Chromium or Chrome on PATH.")


def browser_program() -> str | None:
    """The browser to drive."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, driven by Playwright; mark tests that use it ``browser``."""
    program = browser_program()
    if program is None:
        pytest.fail("no Chromium or Chrome on PATH")
    # Playwright runs an event loop in this thread; the ORM beside it is still used synchronously.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
            ],
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page of a fresh visitor."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture(scope="module")
def portal() -> Iterator[live.Portal]:
    """The portal as processes, shared by the tests of one module."""
    from tests import live

    with live.Portal() as running:
        yield running


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest,
    django_test_environment: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[None]:
    """One clone of the template for this process, dropped at the end."""
    from tests import database

    capture = request.config.pluginmanager.getplugin("capturemanager")
    with django_db_blocker.unblock():
        with capture.global_and_fixture_disabled():  # so that the wait for a template is explained
            name = database.create()
        try:
            with database.use(name):
                yield
        finally:
            database.drop(name)


@pytest.fixture
def own_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """A database for this test alone, committed to as it likes (schema and triggers included)."""
    from tests import database

    with django_db_blocker.unblock():
        name = database.create()
        try:
            with database.use(name):
                yield name
        finally:
            database.drop(name)


def _restore(_test_case: TransactionTestCase) -> None:
    from tests import database

    database.restore()


# Django would TRUNCATE every table, which the ledger refuses and which loses migrated rows.
TransactionTestCase._fixture_teardown = _restore  # type: ignore[attr-defined]
