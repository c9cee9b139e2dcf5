"""The registry of rails: the ways to pay this deployment has, and what each must be able to do.

A rail knows its provider and nothing of products. It adds itself by calling ``register`` at
start-up when it is configured; one whose keys are unset is off and shows no trace (see
CONTRIBUTING, "Adding a rail").
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from accounts.models import Customer
from billing.models import InboundEvent, Order, Payment, Refund
from billing.money import Asset
from common.errors import InvalidInput

Handler = Callable[[InboundEvent], None]


@dataclass(frozen=True, slots=True)
class PayPage:
    """Where the customer pays for an order."""

    external_id: str
    url: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class RefundAnswer:
    """What the provider says of a refund: ``sent``, ``succeeded`` or ``failed``."""

    external_id: str
    state: str
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One item that reconciliation found to differ, and what was done about it."""

    kind: str
    subject: str
    detail: str
    repaired: bool


class Rail(ABC):
    """One way to pay. Methods that call the provider are never called inside a transaction."""

    name: ClassVar[str]
    title: ClassVar[str]
    assets: ClassVar[tuple[Asset, ...]]
    # Whether the provider keeps customers, so that every one of ours is made known to it.
    knows_customers: ClassVar[bool] = False
    # Whether it charges for the next period by itself; see services/renewing.py.
    renews: ClassVar[bool] = False

    @property
    def clearing(self) -> str:
        """The system role where this rail's money is, less what left it."""
        return f"clearing:{self.name}"

    @property
    @abstractmethod
    def handlers(self) -> Mapping[str, Handler]:
        """Who acts on which kind of event; a kind that is missing is stored and ignored."""

    @abstractmethod
    def open_pay_page(self, order: Order) -> PayPage:
        """Make the provider's pay page, once per order. Raises RailUnavailable."""

    @abstractmethod
    def send_refund(self, refund: Refund) -> RefundAnswer:
        """Ask the provider to refund, under the row's key. Raises RailUnavailable to try again."""

    @abstractmethod
    def find_refund(self, refund: Refund) -> RefundAnswer | None:
        """Look an earlier attempt up by our id in the provider's metadata."""

    def mirror(self, event: InboundEvent) -> None:  # noqa: B027 - optional
        """Keep the rail's own copy of the provider's objects up to date; optional."""

    def ensure_customer(self, customer: Customer) -> None:  # noqa: B027 - optional
        """Make the customer known to the provider, once; for rails with ``knows_customers``."""

    def refresh(self, order: Order) -> None:  # noqa: B027 - optional
        """Bring an open order to what the provider says of it now; optional."""

    def sync_catalogue(self) -> list[str]:
        """Mirror what is sold to the provider, idempotently; returns what was changed."""
        return []

    def reconcile(self, since: datetime) -> list[Finding]:
        """Read the provider's own books since then; settle what was lost, name what differs."""
        return []


_RAILS: dict[str, Rail] = {}


def register(rail: Rail) -> None:
    """Add a rail under its name, replacing an earlier one of that name."""
    _RAILS[rail.name] = rail


def of(thing: Order | Payment | InboundEvent) -> Rail:
    """The rail a row came over. Raises InvalidInput when it is switched off now."""
    return named(thing.rail)


def named(name: str) -> Rail:
    """The rail of that name. Raises InvalidInput when this deployment does not have it."""
    rail = _RAILS.get(name)
    if rail is None:
        raise InvalidInput(f"Paying by {name} is not available here.", code="rail_not_available")
    return rail


def available() -> list[Rail]:
    """The rails that are on."""
    return list(_RAILS.values())


def clear() -> None:
    """Switch every rail off; for tests that bring their own."""
    _RAILS.clear()
