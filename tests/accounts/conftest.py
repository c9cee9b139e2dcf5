"""What the tests of accounts share."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from tests.accounts.factories import PersonClient, signed_in


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    """No rate limit outlives its test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def browser() -> PersonClient:
    """The browser of a new person."""
    return signed_in()
