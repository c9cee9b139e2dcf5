"""Callers of the API for tests of the plumbing."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from tests.accounts.factories import PersonClient, signed_in
from tests.common import probe as probes


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    """No rate limit outlives its test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def probe() -> probes.Probe:
    return probes.reset()


@pytest.fixture
def client() -> PersonClient:
    return signed_in()
