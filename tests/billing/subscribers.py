"""People with subscriptions, and what they read on pages."""

from __future__ import annotations

import html
import re
from typing import Any

from billing.models import Subscription
from billing.services import subscriptions
from tests.accounts.factories import PersonClient
from tests.billing.callers import text_of
from tests.billing.fakes import FakeRenewingRail


def subscribe(
    person: PersonClient,
    rail: FakeRenewingRail,
    plan: str = "basic",
    interval: str = "month",
) -> Subscription:
    """A paid subscription (or a trial) of the person, begun now."""
    return rail.pay(subscriptions.start(person.customer, plan, interval, rail="card"))


def subscribe_twice(person: PersonClient, rail: FakeRenewingRail) -> tuple[Any, Any]:
    """Two orders that were both open, both paid: the second subscription is a duplicate."""
    orders = [
        subscriptions.start(person.customer, slug, "month", rail="card")
        for slug in ("premium", "basic")
    ]
    first, second = [rail.pay(order) for order in orders]
    return first, second


def said(response: Any) -> str:
    """What a person reads, on one line."""
    text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", text_of(response), flags=re.DOTALL)
    return " ".join(html.unescape(text).split())


def value_of(response: Any, element_id: str) -> str:
    """The text of one element."""
    found = re.search(
        rf'<(\w+)[^>]*\bid="{element_id}"[^>]*>(.*?)</\1>', text_of(response), re.DOTALL
    )
    assert found, f"nothing of id {element_id}"
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[2])).split())


def hidden(response: Any, name: str) -> str:
    """A hidden input's value."""
    found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', text_of(response))
    assert found, f"no hidden input {name}"
    return html.unescape(found[1])
