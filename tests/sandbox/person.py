"""A customer with a plan, who uses the sandbox's pages."""

from __future__ import annotations

from typing import Any

import httpx

from tests.sandbox.server import Sandbox


class Person:
    """A customer with a plan who opens the portal in a browser without JavaScript."""

    def __init__(self, sandbox: Sandbox, *, card: str = "4242424242424242", **session: Any) -> None:
        self.sandbox = sandbox
        self.api = sandbox.api().v1
        self.id = self.api.customers.create(params={"email": "buyer@example.com"}).id
        self.subscription = self.subscribe(card)
        self.address = self.open(**session)

    def subscribe(self, card: str) -> str:
        line = {
            "quantity": 1,
            "price_data": {
                "currency": "usd",
                "unit_amount": 99_99,
                "recurring": {"interval": "month"},
                "product_data": {"name": "Premium"},
            },
        }
        session = self.sandbox.session(mode="subscription", customer=self.id, line_items=[line])
        done = self.sandbox.control(f"sessions/{session.id}/pay", card=card)
        return str(done["session"]["subscription"])

    def open(self, **params: Any) -> str:
        given: Any = {"customer": self.id, "return_url": "http://127.0.0.1:1/back", **params}
        url = self.api.billing_portal.sessions.create(params=given).url
        return url.removeprefix(self.sandbox.url)

    def look(self, path: str = "") -> str:
        answer = self.sandbox.http.get(self.address + path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def press(self, path: str = "", **form: str) -> httpx.Response:
        return self.sandbox.http.post(self.address + path, data=form)

    def add(self, number: str) -> httpx.Response:
        form = {"card_number": number, "expiry": "12/34", "cvc": "123"}
        return self.press("/payment-methods", **form)

    def plan(self) -> Any:
        return self.api.subscriptions.retrieve(self.subscription)

    def cards(self) -> list[str]:
        """The numbers' ends, newest first."""
        found = self.api.customers.payment_methods.list(self.id).data
        return [method.card.last4 for method in found if method.card]
