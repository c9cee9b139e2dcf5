"""The registry of rails: the ways to pay this deployment has, and what each must be able to do.

A rail knows its provider and nothing of products. It adds itself by calling ``register`` at
start-up when it is configured; one whose keys are unset is off and shows no trace (see
CONTRIBUTING, "Adding a rail").
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext as _

from accounts.models import Customer
from billing.models import InboundEvent, Order, Payment, Refund
from billing.money import Asset
from common.errors import InvalidInput

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

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
    """One thing in which our books and the provider's differ: ``<what it is>_<what is wrong>``.

    ``is_safe``: repair does no more than a lost message should have done. ``remedy`` says what
    repair will do, and is empty when nothing can be done here; ``advice`` what a person should.
    """

    kind: str
    subject: str
    detail: str
    ours: str = ""
    theirs: str = ""
    is_safe: bool = False
    remedy: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Repair:
    """A difference as it is now, and the act that puts it right.

    The act calls no provider, so that it may be rehearsed, and logged in its own transaction. It
    is None where the finding has no remedy.
    """

    finding: Finding
    act: Callable[[], object] | None = None


# Told how many things were compared since the last time.
Tell = Callable[[int], None]


class Rail(ABC):
    """One way to pay. Methods that call the provider are never called inside a transaction."""

    name: ClassVar[str]
    title: ClassVar[StrOrPromise]
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
    def computes_tax(self) -> bool:
        """Whether the provider adds tax at payment, so that it cannot be known before."""
        return False

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

    def reconcile(self, since: datetime, until: datetime, tell: Tell) -> Iterator[Finding]:
        """Read the provider's own books of that time and name what differs; changes nothing.

        Oldest first, and lazily: what was named before may be repaired before the next is read.
        Raises RailUnavailable.
        """
        return iter(())

    def compare_balance(self) -> Finding | None:
        """Whether all that this rail ever moved adds up to what the provider holds for us now.

        Asked when no single difference is known. Raises RailUnavailable.
        """
        return None

    def look_again(self, kind: str, subject: str) -> Repair | None:
        """A difference that was named before, read anew; None when nothing differs any more.

        Raises RailUnavailable. Not inside a transaction.
        """
        return None


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
        refusal = _("Paying by %(name)s is not available here.") % {"name": name}
        raise InvalidInput(refusal, code="rail_not_available")
    return rail


def available() -> list[Rail]:
    """The rails that are on."""
    return list(_RAILS.values())


def clear() -> None:
    """Switch every rail off; for tests that bring their own."""
    _RAILS.clear()
