"""Customers with cards, recurring prices and subscriptions, for tests of billing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import stripe

from tests.sandbox.server import Sandbox

DAY_SECONDS = 24 * 3600
HOUR_SECONDS = 3600
# Saved like any card, declined when it is charged.
FAILING = "4000000000000341"
GOOD = "4242424242424242"


def customer(sandbox: Sandbox, *, card: str | None = "pm_card_visa") -> str:
    """A new customer whose default payment method is a ready-made card, or who has none."""
    api = sandbox.api().v1
    made = api.customers.create(params={"email": "buyer@example.com", "name": "A. Buyer"})
    if card is not None:
        method = api.payment_methods.attach(card, params={"customer": made.id})
        chosen: Any = {"default_payment_method": method.id}
        api.customers.update(made.id, params={"invoice_settings": chosen})
    return made.id


def price(
    sandbox: Sandbox, amount: int = 2999, *, interval: str = "month", count: int = 1, **more: Any
) -> str:
    """A recurring price of a product of its own."""
    given: Any = {
        "currency": "usd",
        "unit_amount": amount,
        "recurring": {"interval": interval, "interval_count": count},
        "product_data": {"name": "Plan"},
        **more,
    }
    return sandbox.api().v1.prices.create(params=given).id


def subscribe(sandbox: Sandbox, who: str, price: str, **params: Any) -> dict[str, Any]:
    """A new subscription to one price, as the API shows it."""
    given: Any = {"customer": who, "items": [{"price": price}], **params}
    return plain(sandbox.api().v1.subscriptions.create(params=given))


def change(sandbox: Sandbox, subscription: str, **params: Any) -> dict[str, Any]:
    """The subscription after an update."""
    given: Any = params
    return plain(sandbox.api().v1.subscriptions.update(subscription, params=given))


def swap(
    sandbox: Sandbox, subscription: dict[str, Any], price: str, **params: Any
) -> dict[str, Any]:
    """The subscription with another price on its only item."""
    return change(sandbox, subscription["id"], items=to(subscription, price), **params)


def to(subscription: dict[str, Any], price: str) -> list[dict[str, Any]]:
    """``items`` that put another price on the subscription's only item."""
    return [{"id": subscription["items"]["data"][0]["id"], "price": price}]


def preview(sandbox: Sandbox, **params: Any) -> dict[str, Any]:
    """The answer of ``create_preview``."""
    given: Any = params
    return plain(sandbox.api().v1.invoices.create_preview(params=given))


def show(sandbox: Sandbox, subscription: str, **params: Any) -> dict[str, Any]:
    """The subscription as it is now."""
    given: Any = params
    return plain(sandbox.api().v1.subscriptions.retrieve(subscription, params=given))


def invoices(sandbox: Sandbox, subscription: str) -> list[dict[str, Any]]:
    """The subscription's invoices, oldest first."""
    listed = sandbox.api().v1.invoices.list(params={"subscription": subscription, "limit": 100})
    return [plain(one) for one in listed.auto_paging_iter()][::-1]


def lines(invoice: dict[str, Any]) -> list[int]:
    """The amounts of the invoice's lines."""
    return [line["amount"] for line in invoice["lines"]["data"]]


def period(subscription: dict[str, Any]) -> tuple[int, int]:
    """Start and end of the period under way."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def days(sandbox: Sandbox, count: float) -> None:
    """Move the sandbox's time on."""
    sandbox.control("clock", advance_seconds=int(count * DAY_SECONDS))


def until(sandbox: Sandbox, moment: int) -> None:
    """Move the sandbox's time on to ``moment``."""
    left = moment - now(sandbox)
    sandbox.control("clock", advance_seconds=max(0, left))


def until_day(sandbox: Sandbox, year: int, month: int, day: int) -> int:
    """Move the time on to noon of a day; the moment."""
    moment = int(datetime(year, month, day, 12, tzinfo=UTC).timestamp())
    until(sandbox, moment)
    return moment


def now(sandbox: Sandbox) -> int:
    """The sandbox's time."""
    return int(sandbox.look("clock")["now"])


def day(moment: int) -> str:
    """A moment's date in UTC."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def plain(obj: stripe.StripeObject) -> dict[str, Any]:
    """What was answered, without the library's clothes."""
    found: dict[str, Any] = obj.to_dict()
    return found


def told(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    """The events of a type, oldest first."""
    listed = sandbox.api().v1.events.list(params={"type": kind, "limit": 100})
    return [plain(one) for one in listed.auto_paging_iter()][::-1]
