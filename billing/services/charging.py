"""What a rail that charges saved cards must be able to do, their owner not being there."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from accounts.models import Customer
from billing.models import Order
from billing.services import rails
from billing.services.charges import Charge
from billing.services.rails import Rail


class Result(StrEnum):
    """What became of asking for money."""

    PAID = "paid"
    DECLINED = "declined"
    # Taken, and not yet decided: the provider will tell.
    UNDER_WAY = "under_way"


@dataclass(frozen=True, slots=True)
class ChargeAnswer:
    """What a provider says of one charge of a saved card.

    ``charge`` is the money, if it was paid; ``fee_minor`` what the provider kept, once it is known.
    ``needs_owner``: the bank wants its owner to be there. ``is_final``: trying again is pointless.
    """

    external_id: str
    result: Result
    charge: Charge | None = None
    fee_minor: int | None = None
    code: str = ""
    message: str = ""
    card: str = ""
    needs_owner: bool = False
    is_final: bool = False
    no_card: bool = False


class ChargingRail(Rail):
    """A rail whose provider keeps cards to charge later. None of it is called in a transaction.

    Each method raises RailUnavailable when the provider is out of reach.
    """

    @property
    def why_not_charging(self) -> str:
        """Why saved cards cannot be charged in this deployment; empty when they can be."""
        return ""

    @abstractmethod
    def saved_card(self, customer: Customer) -> str | None:
        """What people call the card that would be charged; None when there is none."""

    @abstractmethod
    def open_saving_page(
        self, customer: Customer, *, reference: str, done_url: str, back_url: str
    ) -> str:
        """The address of the provider's page to save a card; ``reference`` comes back with it."""

    @abstractmethod
    def finish_saving(self, customer: Customer, page_id: str) -> None:
        """Take in what this customer did on that page, if they did; repeating changes nothing."""

    @abstractmethod
    def charge_saved(self, order: Order) -> ChargeAnswer:
        """Charge the saved card with the order's price, once per ``order.provider_key``."""

    @abstractmethod
    def find_charge(self, order: Order, since: datetime) -> ChargeAnswer | None:
        """Look an earlier attempt at this order up by our id in the provider's metadata."""


def rail() -> ChargingRail | None:
    """The rail that charges saved cards here; None where there is none."""
    found = [one for one in rails.available() if isinstance(one, ChargingRail)]
    return found[0] if found else None


def rail_of(order: Order) -> ChargingRail:
    """The rail of an order that charges a saved card. Raises InvalidInput when it is off now."""
    found = rails.of(order)
    if not isinstance(found, ChargingRail):
        raise TypeError(f"{found.name} does not charge saved cards")
    return found
