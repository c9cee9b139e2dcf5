"""The registry of product types: what an order's snapshot means, how it is delivered and undone.

Rails never look here, and products never ask which rail paid. An app adds a type by calling
``register`` from its ``AppConfig.ready`` (see CONTRIBUTING, "Adding a product").
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from billing import ledger
from billing.models import Code, LedgerAccount, Order
from billing.money import Money
from common.errors import Conflict


@dataclass(frozen=True, slots=True)
class Sold:
    """What an order keeps of a product: enough to deliver it years later."""

    kind: str
    slug: str
    name: str
    price: Money
    snapshot: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reversal:
    """The net part of a sale that goes back, in the order's asset, and what went back before."""

    order: Order
    # Why it goes back, e.g. refund:<id>; the group of its transfers and holds.
    cause: str
    net_minor: int
    net_before_minor: int
    # The system role the money goes to: the rail's clearing, or where a dispute keeps it.
    into: str
    # Names this booking of the cause; keys of its transfers begin with it.
    key: str
    occurred_at: datetime


class ProductType(ABC):
    """How one kind of product is earned, delivered and taken back. All of it once per order."""

    kind: ClassVar[str]

    def earn(self, order: Order, *, source: LedgerAccount, key: str, at: datetime) -> None:
        """Move the order's net from ``source`` to whom it belongs; deferred unless overridden."""
        if not order.net:
            return
        deferred = ledger.system_account("deferred", order.unit)
        leg = ledger.Leg(source, deferred, order.net.amount_minor, Code.FUND, f"{key}:fund")
        ledger.post([leg], group=f"order:{order.pk}", occurred_at=at)

    def unearn(self, reversal: Reversal) -> None:
        """Undo ``earn`` for an order that never was delivered and is refunded whole."""
        self._deferred_to_target(reversal, Code.REFUND, f"{reversal.key}:unearn", sign=1)

    def earn_again(self, reversal: Reversal) -> None:
        """The refund behind ``unearn`` failed after all."""
        key = f"{reversal.key}:unearn:back"
        self._deferred_to_target(reversal, Code.REFUND_FAILED, key, sign=-1)

    def _deferred_to_target(self, reversal: Reversal, code: str, key: str, *, sign: int) -> None:
        unit = reversal.order.unit
        ours = ledger.system_account("deferred", unit)
        theirs = ledger.system_account(reversal.into, unit)
        source, target = (ours, theirs) if sign > 0 else (theirs, ours)
        leg = ledger.Leg(source, target, reversal.net_minor, code, key)
        ledger.post([leg], group=reversal.cause, occurred_at=reversal.occurred_at)

    def why_undeliverable(self, order: Order) -> str:
        """Why an open order can no longer become what it says; empty while it can.

        Money that comes for it all the same is kept as unapplied. In English: it is kept, too.
        """
        return ""

    def refuse_if_unwanted(self, order: Order) -> None:
        """Refuse before money is taken what would be undeliverable, or bought in vain."""
        reason = self.why_undeliverable(order)
        if reason:
            raise Conflict(_(reason), code="order_outdated")

    @abstractmethod
    def deliver(self, order: Order, *, at: datetime) -> None:
        """Give the customer what was bought, once per order however often it is called."""

    @abstractmethod
    def unspent_net_minor(self, order: Order) -> int:
        """How much of the order's net is still unspent: what a refund gives back by default."""

    @abstractmethod
    def pin(self, reversal: Reversal) -> None:
        """Set aside what will be taken back, as far as it is there; no deadline."""

    @abstractmethod
    def unpin(self, cause: str, *, at: datetime) -> None:
        """It will not be taken back after all: give back what was set aside."""

    @abstractmethod
    def take_units(self, reversal: Reversal) -> None:
        """Take what was delivered: what is set aside, what else is there, the rest as debt."""

    @abstractmethod
    def take_money(self, reversal: Reversal) -> None:
        """Move the net money from whom it was earned by to ``into``."""

    @abstractmethod
    def return_units(self, reversal: Reversal) -> None:
        """Undo ``take_units``, as far as it was done under this ``key``."""

    @abstractmethod
    def return_money(self, reversal: Reversal) -> None:
        """Undo ``take_money``, as far as it was done under this ``key``."""


_TYPES: dict[str, ProductType] = {}


def register(product_type: ProductType) -> None:
    """Add a type under its kind; a second one of the same kind is a programming error."""
    if type(_TYPES.get(product_type.kind)) not in (type(None), type(product_type)):
        raise ValueError(f"product kind {product_type.kind!r} is registered twice")
    _TYPES[product_type.kind] = product_type


def type_of(order: Order) -> ProductType:
    """The type that delivers this order; KeyError when its app is not installed any more."""
    return _TYPES[order.product_kind]


def why_undeliverable(order: Order) -> str:
    """See ``ProductType.why_undeliverable``; empty where the order's app is gone."""
    product = _TYPES.get(order.product_kind)
    return product.why_undeliverable(order) if product else ""


def refuse_if_unwanted(order: Order) -> None:
    """See ``ProductType.refuse_if_unwanted``: for rails that may still decline the money."""
    type_of(order).refuse_if_unwanted(order)


def kinds() -> list[str]:
    """The registered kinds, for the system check."""
    return sorted(_TYPES)
