"""Fixtures of the tests that talk to a running sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.sandbox.server import SECRET, Listener, Sandbox, listening


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Listener]]:
    folder = tmp_path_factory.mktemp("sandbox")
    with listening() as listener:
        env = {
            "SANDBOX_WEBHOOK_URL": listener.url,
            "SANDBOX_WEBHOOK_SECRET": SECRET,
            "SANDBOX_RETRY_SECONDS": "0.05,0.05,0.1",
        }
        with Sandbox(folder, **env) as sandbox:
            yield sandbox, listener


@pytest.fixture
def sandbox(running_sandbox: tuple[Sandbox, Listener]) -> Sandbox:
    """One process for all tests, with nothing in it at the start of each."""
    sandbox, listener = running_sandbox
    sandbox.http.post("/_sandbox/reset", json={}).raise_for_status()
    sandbox.until_quiet()  # what was on its way must not arrive in this test
    listener.got.clear()
    listener.answers.clear()
    return sandbox


@pytest.fixture
def listener(sandbox: Sandbox, running_sandbox: tuple[Sandbox, Listener]) -> Listener:
    """Gets every webhook of ``sandbox``."""
    return running_sandbox[1]


@pytest.fixture
def api(sandbox: Sandbox) -> stripe.StripeClient:
    """Stripe's library, talking to ``sandbox``."""
    return sandbox.api()
