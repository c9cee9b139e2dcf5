from __future__ import annotations

import os

import pytest

from tests.contract import stripe_types
from tests.sandbox.fixtures import api, running_sandbox, sandbox

__all__ = ["api", "running_sandbox", "sandbox"]


@pytest.fixture(scope="session", autouse=True)
def types() -> None:
    """Without Node.js there are no types to compare with: one line here, a failure in CI."""
    try:
        stripe_types.schema()
    except stripe_types.Unavailable as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"Stripe's types are not to be had: {problem}")
