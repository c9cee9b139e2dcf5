"""Callers of the API for tests of the plumbing."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from tests.accounts.factories import customer_of, make_person
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


def signed_in() -> APIClient:
    """A new person's client."""
    client = APIClient(raise_request_exception=False)
    user = make_person()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    client.customer = customer_of(user)
    return client


@pytest.fixture
def client() -> APIClient:
    return signed_in()
