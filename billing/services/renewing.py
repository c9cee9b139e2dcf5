"""What a rail that renews subscriptions by itself must be able to do, beside taking payments."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.utils.translation import gettext as _

from accounts.models import Customer
from billing.errors import ChangeNotPossible
from billing.models import Order, Subscription
from billing.money import Money
from billing.plans import Offer
from billing.services import rails
from billing.services.rails import Rail


@dataclass(frozen=True, slots=True)
class ChangeCost:
    """What a change would be charged now, to the cent: parts, then subtotal, tax and total."""

    parts: Sequence[tuple[str, Money]]
    subtotal: Money
    tax: Money
    total: Money
    next_at: datetime


class RenewingRail(Rail):
    """A rail whose provider keeps subscriptions. None of this is called inside a transaction.

    Each act is safe to repeat, raises RailUnavailable when the provider is out of reach, and ends
    by bringing our row to what the provider says (``refresh_subscription``).
    """

    renews: ClassVar[bool] = True

    @abstractmethod
    def refresh_subscription(self, subscription: Subscription) -> None:
        """Settle what the provider has billed of it, and record its state today."""

    def catch_up(self, subscription: Subscription) -> None:
        """The same for all that it billed since we last heard of it."""
        self.refresh_subscription(subscription)

    @abstractmethod
    def cost_of_change(self, subscription: Subscription, offer: Offer, at: datetime) -> ChangeCost:
        """What changing to ``offer`` would be charged, as of ``at``."""

    @abstractmethod
    def change_now(
        self, subscription: Subscription, offer: Offer, at: datetime, order: Order | None
    ) -> None:
        """Change the plan and charge for it as of ``at``; all of it or, if declined, nothing.

        Raises PaymentDeclined. ``order`` gives the idempotency key.
        """

    @abstractmethod
    def change_at_period_end(self, subscription: Subscription, offer: Offer) -> None:
        """Go on as ``offer`` when the current period is over; replaces an earlier such wish."""

    @abstractmethod
    def keep_plan(self, subscription: Subscription) -> None:
        """Forget a change at the end of the period."""

    @abstractmethod
    def cancel_at_period_end(self, subscription: Subscription) -> None:
        """Do not renew; what is paid stays."""

    @abstractmethod
    def resume(self, subscription: Subscription) -> None:
        """Renew after all."""

    @abstractmethod
    def stop(self, subscription: Subscription) -> None:
        """End it at the provider at once: it charges nothing more."""

    @abstractmethod
    def self_service_url(self, customer: Customer, return_url: str) -> str:
        """The provider's own page to change cards and see invoices."""


def rail_of(subscription: Subscription) -> RenewingRail:
    """The rail that renews it. Raises ChangeNotPossible for prepaid time."""
    rail = rails.named(subscription.rail)
    if not isinstance(rail, RenewingRail) or not subscription.renews:
        raise ChangeNotPossible(_("This is prepaid: it does not renew by itself."))
    return rail
