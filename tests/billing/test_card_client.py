"""The door to Stripe: nothing but loopback under a sandbox, and errors that say what they mean."""

from __future__ import annotations

import pytest
import stripe
from pytest_django import Settings

from billing.errors import RailUnavailable
from billing.rails.card import client


@pytest.fixture
def sandboxed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stripe library as a sandboxed portal sets it up; put back afterwards."""
    for name in (
        "api_base",
        "connect_api_base",
        "upload_api_base",
        "meter_events_api_base",
        "api_key",
        "api_version",
        "max_network_retries",
        "default_http_client",
    ):
        monkeypatch.setattr(stripe, name, getattr(stripe, name))
    settings.STRIPE_API_BASE = "http://127.0.0.1:1"
    client.configure()


@pytest.mark.usefixtures("sandboxed")
def test_no_address_but_this_machine_is_ever_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "api_base", "https://api.stripe.com")

    with pytest.raises(RuntimeError, match=r"refusing to call api\.stripe\.com"):
        stripe.Customer.list()


@pytest.mark.usefixtures("sandboxed")
def test_all_four_base_addresses_point_at_the_sandbox() -> None:
    bases = {
        stripe.api_base,
        stripe.connect_api_base,
        stripe.upload_api_base,
        stripe.meter_events_api_base,
    }

    assert bases == {"http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("error", "key_spent"),
    [
        (stripe.APIConnectionError("cut"), False),  # type: ignore[no-untyped-call]
        (stripe.RateLimitError("slow down", http_status=429), False),
        (stripe.APIError("still working", http_status=409), False),
        (stripe.APIError("oops", http_status=500), True),
    ],
)
def test_not_now_is_told_apart_from_no(error: Exception, key_spent: bool) -> None:
    with pytest.raises(RailUnavailable) as refusal, client.reachable():
        raise error

    assert refusal.value.key_spent is key_spent


def test_a_refusal_passes_through() -> None:
    with pytest.raises(stripe.InvalidRequestError), client.reachable():
        raise stripe.InvalidRequestError(  # type: ignore[no-untyped-call]
            "no such thing", "id"
        )
