"""dj-stripe mirrors everything the sandbox says, over HTTP and without a change to either."""

from __future__ import annotations

from typing import Any

import pytest
import stripe
from django.conf import settings
from djstripe import models

from tests.contract import life
from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.django_db

# What dj-stripe mirrors, and where the API lists it.
MIRRORED = {
    models.BalanceTransaction: "/v1/balance_transactions",
    models.Charge: "/v1/charges",
    models.Coupon: "/v1/coupons",
    models.Customer: "/v1/customers",
    models.Dispute: "/v1/disputes",
    models.Invoice: "/v1/invoices",
    models.PaymentIntent: "/v1/payment_intents",
    models.PaymentMethod: "/v1/payment_methods",
    models.Price: "/v1/prices",
    models.Product: "/v1/products",
    models.PromotionCode: "/v1/promotion_codes",
    models.Refund: "/v1/refunds",
    models.Session: "/v1/checkout/sessions",
    models.SetupIntent: "/v1/setup_intents",
    models.Subscription: "/v1/subscriptions",
    models.SubscriptionSchedule: "/v1/subscription_schedules",
}


@pytest.fixture(scope="module")
def life_lived(running_sandbox: tuple[Sandbox, object]) -> Sandbox:
    """A sandbox in which everything has happened."""
    sandbox = running_sandbox[0]
    sandbox.http.post("/_sandbox/reset", json={}).raise_for_status()
    life.live(sandbox)
    return sandbox


@pytest.fixture
def lived(life_lived: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The same, and the library's module talking to it."""
    for base in ("api_base", "connect_api_base", "upload_api_base", "meter_events_api_base"):
        monkeypatch.setattr(stripe, base, life_lived.url)
    return life_lived


def listed(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    found = []
    query: dict[str, str] = {"limit": "100"}
    while True:
        page = life.get(sandbox, path, **query)
        found += page["data"]
        if not page["has_more"]:
            return found
        query["starting_after"] = page["data"][-1]["id"]


def process(events: list[dict[str, Any]]) -> None:
    """Hand events to dj-stripe one by one, as the webhook's task does."""
    for event in events:
        models.Event.process(event, api_key=settings.STRIPE_SECRET_KEY)


def test_every_event_is_processed_and_mirrors_its_object(lived: Sandbox) -> None:
    events = listed(lived, "/v1/events")[::-1]

    process(events)

    assert {event["type"] for event in events} == life.EVENTS
    assert models.Event.objects.count() == len(events)
    told = {event["data"]["object"]["id"] for event in events}
    for model in set(MIRRORED) - {models.Refund}:  # dj-stripe does not follow refund.*
        for obj in listed(lived, MIRRORED[model]):
            if obj["id"] in told:
                assert status(model.objects.get(id=obj["id"]).stripe_data) == status(obj)
    charge = models.Charge.objects.filter(status="succeeded").first()
    assert charge is not None
    assert charge.payment_method.stripe_data["card"]["last4"]
    assert charge.balance_transaction.stripe_data["amount"] == charge.stripe_data["amount"]
    assert charge.djstripe_owner_account.id == "acct_1SandboxPortal01"


def status(obj: dict[str, Any]) -> dict[str, Any]:
    return {name: obj.get(name) for name in ("status", "metadata", "livemode", "active")}


def test_events_in_the_wrong_order_end_in_the_same_mirror(lived: Sandbox) -> None:
    newest_of_each = {event["type"]: event for event in listed(lived, "/v1/events")[::-1]}

    process(list(newest_of_each.values())[::-1])

    assert models.Event.objects.count() == len(life.EVENTS)
    for session in listed(lived, "/v1/checkout/sessions"):
        for mirrored in models.Session.objects.filter(id=session["id"]):
            assert status(mirrored.stripe_data) == status(session)


def test_every_kind_of_object_can_be_synced(lived: Sandbox) -> None:
    for model, path in MIRRORED.items():
        objects = listed(lived, path)[:5]
        for obj in objects:
            data = model(id=obj["id"]).api_retrieve(api_key=settings.STRIPE_SECRET_KEY)
            mirrored = model.sync_from_stripe_data(data, api_key=settings.STRIPE_SECRET_KEY)
            assert status(mirrored.stripe_data) == status(obj)
        assert objects, path


def test_a_webhook_endpoint_made_by_djstripe_gets_webhooks(lived: Sandbox) -> None:
    data = models.WebhookEndpoint._api_create(
        url="http://127.0.0.1:1/stripe/webhook/",
        enabled_events=["*"],
        api_version=settings.STRIPE_API_VERSION,
        metadata={"djstripe_uuid": "6a1b1de8-6ddb-4a6c-9c0b-32f1d4d1b3c0"},
        api_key=settings.STRIPE_SECRET_KEY,
    )

    endpoint = models.WebhookEndpoint.sync_from_stripe_data(
        data, api_key=settings.STRIPE_SECRET_KEY
    )

    assert endpoint.secret.startswith("whsec_")
