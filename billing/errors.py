"""What the money core refuses, each with a sentence for the customer."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext_lazy

from billing.money import Asset
from common.errors import BillingError


class LimitReached(BillingError):
    """There may be only so much of something: what is in the way, and by how much.

    ``reason`` names it (a plan's limit, ``credits``, ``spend_cap``, ``debt``, ``feature:<name>``),
    and the page of options at ``upgrade_path`` is asked with it. Figures are whole numbers, of the
    smallest unit of ``asset`` where there is one; what is not known is None.
    """

    code = "limit_reached"
    status = 402
    message = gettext_lazy("A limit is reached.")
    reason = ""

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str | None = None,
        used: int | None = None,
        allowed: int | None = None,
        wanted: int | None = None,
        asset: Asset | None = None,
        resets_at: datetime | None = None,
    ) -> None:
        self.reason = self.reason if reason is None else reason
        self.used, self.allowed, self.wanted = used, allowed, wanted
        self.asset = asset
        self.resets_at = resets_at
        super().__init__(message)

    @property
    def missing(self) -> int | None:
        """How much more there would have to be; None when that is not known."""
        if self.allowed is None or self.wanted is None:
            return None
        return max(0, (self.used or 0) + self.wanted - self.allowed)

    @property
    def upgrade_path(self) -> str:
        """The page that says what is in the way and offers what helps."""
        query = {"reason": self.reason}
        if self.asset and self.missing:
            query["need"] = str(self.missing)
        return f"{reverse('billing:upgrade')}?{urlencode(query)}"

    @property
    def details(self) -> dict[str, Any]:
        """The same for programs; what is not known is left out."""
        told = {
            "limit": self.reason,
            "used": self.used,
            "allowed": self.allowed,
            "wanted": self.wanted,
            "asset": self.asset.code if self.asset else None,
            "resets_at": self.resets_at.isoformat() if self.resets_at else None,
            "upgrade_url": f"{settings.PUBLIC_URL}{self.upgrade_path}",
        }
        return {name: value for name, value in told.items() if value is not None}


class InsufficientFunds(LimitReached):
    """Spendable lots, or a guarded balance, do not cover the amount."""

    code = "insufficient_funds"
    message = gettext_lazy("There is not enough on this balance. Please buy credits first.")
    reason = "credits"


class InDebt(LimitReached):
    """The customer owes units from an earlier refund or usage; new spending waits for them."""

    code = "in_debt"
    message = gettext_lazy("An earlier amount is still owed. The next purchase pays it first.")
    reason = "debt"


class SpendCapReached(LimitReached):
    """The customer's own monthly spend cap does not allow this amount."""

    code = "spend_cap_reached"
    message = gettext_lazy("The monthly spend cap is reached.")
    reason = "spend_cap"


class NotInPlan(LimitReached):
    """The customer's plan does not have this feature."""

    code = "not_in_plan"
    status = 403
    message = gettext_lazy("Your plan does not include this. Choose a plan that does.")
    reason = "plan"


class IdempotencyMismatch(BillingError):
    """A key came back with other contents: a bug or an attack, never a retry."""

    code = "idempotency_mismatch"
    status = 422
    message = gettext_lazy("This key was already used for something else.")


class HoldClosed(BillingError):
    """The hold was captured, released or expired before."""

    code = "hold_closed"
    status = 409
    message = gettext_lazy("This hold is already closed.")


class ExceedsOriginal(BillingError):
    """More was asked for than the original act left to take or give back."""

    code = "exceeds_original"
    status = 422
    message = gettext_lazy("That is more than is left of the original amount.")


class NotPossible(BillingError):
    """The ledger has no such account, hold or lot, or the accounts do not match."""

    code = "not_possible"
    status = 422
    message = gettext_lazy("This is not possible.")


class LedgerWriteRefused(BillingError):
    """Somebody tried to write a ledger table past its functions."""

    code = "ledger_write_refused"
    status = 500
    message = gettext_lazy("This is not possible.")


class NotRefundable(BillingError):
    """The payment has less left to refund, or nothing."""

    code = "not_refundable"
    status = 409
    message = gettext_lazy("This payment has less left to refund.")


class RailUnavailable(BillingError):
    """The provider could not be reached or refused the call; nothing was charged."""

    code = "rail_unavailable"
    status = 503
    message = gettext_lazy(
        "The payment provider cannot be reached at the moment. Please try again."
    )

    def __init__(self, message: str | None = None, *, key_spent: bool = False) -> None:
        """``key_spent``: it answered an error and would repeat it for the same key."""
        super().__init__(message)
        self.key_spent = key_spent


class AlreadySubscribed(BillingError):
    """The customer has a live subscription; a second one would be paid twice."""

    code = "already_subscribed"
    status = 409
    message = gettext_lazy(
        "There is a subscription already. Change its plan instead of buying a second one."
    )


class NoSubscription(BillingError):
    """The customer has no live subscription to act on."""

    code = "no_subscription"
    status = 404
    message = gettext_lazy("There is no subscription.")


class ChangeNotPossible(BillingError):
    """The plan cannot be changed like that, or not now."""

    code = "change_not_possible"
    status = 409
    message = gettext_lazy("This change is not possible.")


class QuoteOutdated(BillingError):
    """What was shown before confirming is no longer true; nothing was changed."""

    code = "quote_outdated"
    status = 409
    message = gettext_lazy(
        "The amount shown is out of date. Nothing was changed; please look again."
    )


class PaymentDeclined(BillingError):
    """The provider declined the charge; nothing was changed."""

    code = "payment_declined"
    status = 402
    message = gettext_lazy(
        "The payment was declined and nothing was changed. Please update the card."
    )
