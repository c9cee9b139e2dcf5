"""A provider of our own making: the far side of a rail, faked at its edge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from unittest import mock

from billing.errors import RailUnavailable
from billing.models import InboundEvent, Order, Refund
from billing.money import USD
from billing.services import rails
from billing.services.rails import Finding, Handler, PayPage, Rail, RefundAnswer


class FakeRail(Rail):
    """Answers as told and remembers what it was asked."""

    name = "card"
    title = "Fake card"
    assets = (USD,)
    knows_customers = True

    def __init__(self) -> None:
        self.down = False
        self.refund_state = "succeeded"
        self.pages: list[Order] = []
        self.refunds: dict[str, RefundAnswer] = {}
        self.refund_calls: list[str] = []
        self.customers: list[Any] = []
        self.refreshed: list[Order] = []
        self.lose_answer = False
        self.key_spent = False
        self.acts: dict[str, Callable[[InboundEvent], None]] = {}

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return self.acts

    def open_pay_page(self, order: Order) -> PayPage:
        self._reach()
        self.pages.append(order)
        return PayPage(f"cs_{order.pk}", f"https://pay.example.com/{order.pk}", None)

    def send_refund(self, refund: Refund) -> RefundAnswer:
        self._reach()
        self.refund_calls.append(refund.provider_key)
        if refund.provider_key not in self.refunds:
            self.refunds[refund.provider_key] = RefundAnswer(
                f"re_{len(self.refunds)}_{refund.pk}", self.refund_state
            )
        if self.lose_answer:
            self.lose_answer = False
            raise RailUnavailable(key_spent=self.key_spent)
        return self.refunds[refund.provider_key]

    def find_refund(self, refund: Refund) -> RefundAnswer | None:
        self._reach()
        ours = [made for key, made in self.refunds.items() if key.startswith(refund.key)]
        return ours[0] if ours else None

    def ensure_customer(self, customer: Any) -> None:
        self._reach()
        self.customers.append(customer)

    def refresh(self, order: Order) -> None:
        self._reach()
        self.refreshed.append(order)

    def reconcile(self, since: datetime) -> list[Finding]:
        self._reach()
        return []

    def _reach(self) -> None:
        if self.down:
            raise RailUnavailable(key_spent=self.key_spent)


@contextmanager
def only_rail(rail: Rail) -> Iterator[None]:
    """Make ``rail`` the only one there is for the length of the block."""
    with mock.patch.dict(rails._RAILS, {rail.name: rail}, clear=True):
        yield
