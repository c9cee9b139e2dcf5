"""Rate limits of pages and webhooks: they stop floods and never what is good."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from rest_framework.settings import api_settings

from billing.models import InboundEvent
from tests.accounts.factories import make_person, signed_in
from tests.billing.fakes import FakeRail, only_rail
from tests.end_to_end import post

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_counts_yet() -> Iterator[None]:
    cache.clear()
    with only_rail(FakeRail()):
        yield
    cache.clear()


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few enough for a test."""
    few = {**api_settings.DEFAULT_THROTTLE_RATES, "checkout": "3/hour", "refused_webhook": "5/hour"}
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", few)


def send(body: bytes, signature: str, **headers: str) -> tuple[int, str]:
    answer = Client().post(
        "/api/webhooks/stripe",
        body,
        content_type="application/json",
        headers={"Stripe-Signature": signature} | headers,
    )
    return answer.status_code, answer.get("Retry-After", "")


@pytest.mark.usefixtures("rates")
def test_buying_is_limited_per_customer_on_the_page() -> None:
    buyer, other = signed_in(make_person("a@example.com")), signed_in(make_person("b@example.com"))

    statuses = [buyer.post("/billing/buy", {"package": "small"}).status_code for _ in range(5)]

    assert statuses == [303, 303, 303, 429, 429]
    refused = buyer.post("/billing/buy", {"package": "small"})
    assert 1 <= int(refused["Retry-After"]) <= 3600
    assert "too fast" in refused.content.decode()
    assert buyer.get("/billing/buy").status_code == 200
    assert other.post("/billing/buy", {"package": "small"}).status_code == 303


@pytest.mark.usefixtures("rates")
def test_pages_and_api_count_together() -> None:
    buyer = signed_in(make_person("a@example.com"))
    for _ in range(3):
        buyer.post("/billing/buy", {"package": "small"})

    answer = buyer.post(
        "/api/billing/credits/purchase", {"package": "small"}, content_type="application/json"
    )

    assert answer.status_code == 429


@pytest.mark.usefixtures("rates")
def test_a_flood_of_bad_webhooks_is_told_to_stop_and_a_good_one_still_gets_in() -> None:
    bad = [send(b"{}", "t=1,v1=00") for _ in range(8)]

    assert [status for status, _ in bad] == [400] * 5 + [429] * 3
    assert bad[4][1] == ""
    assert int(bad[5][1]) >= 1

    for _ in range(8):
        body = json.dumps(post.an_event()).encode()
        assert send(body, post.signature(settings.STRIPE_WEBHOOK_SECRET, body))[0] == 200
    assert InboundEvent.objects.count() == 8


@pytest.mark.usefixtures("rates")
def test_webhooks_that_are_too_large_count_as_bad() -> None:
    large = [send(b"x" * 1_048_577, "t=1,v1=00")[0] for _ in range(7)]

    assert large == [413] * 5 + [429] * 2


def test_good_webhooks_are_never_limited() -> None:
    for _ in range(150):
        body = json.dumps(post.an_event()).encode()
        status, _wait = send(body, post.signature(settings.STRIPE_WEBHOOK_SECRET, body))
        assert status == 200


def test_log_in_is_limited_by_address_and_by_failures() -> None:
    statuses = [
        Client().post(
            "/accounts/login/", {"login": f"nobody{number}@example.com", "password": "wrong"}
        ).status_code
        for number in range(32)
    ]  # fmt: skip

    assert statuses[0] == 200
    assert statuses[-1] == 429


def test_guessing_one_persons_password_is_stopped_sooner() -> None:
    make_person("a@example.com")

    pages = [
        Client(REMOTE_ADDR=f"192.0.2.{number}")
        .post("/accounts/login/", {"login": "a@example.com", "password": f"guess{number}"})
        .content.decode()
        for number in range(7)
    ]

    assert "Too many failed login attempts" not in pages[4]
    assert "Too many failed login attempts" in pages[6]
