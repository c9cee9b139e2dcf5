"""What every test stands on: PostgreSQL and Redis of its own, a database cloned per process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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

import billing_project.celery  # noqa: E402, F401
from django.test import TransactionTestCase  # noqa: E402
from pytest_django.plugin import DjangoDbBlocker  # noqa: E402


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
TransactionTestCase._fixture_teardown = _restore  # type: ignore[method-assign]
