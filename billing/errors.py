"""What the money core refuses, each with a sentence for the customer."""

from __future__ import annotations

from common.errors import BillingError


class InsufficientFunds(BillingError):
    """Spendable lots, or a guarded balance, do not cover the amount."""

    code = "insufficient_funds"
    status = 402
    message = "There is not enough on this balance. Please buy credits first."


class InDebt(BillingError):
    """The customer owes units from an earlier refund or usage; new spending waits for them."""

    code = "in_debt"
    status = 402
    message = "An earlier amount is still owed. The next purchase pays it first."


class SpendCapReached(BillingError):
    """The customer's own monthly spend cap does not allow this amount."""

    code = "spend_cap_reached"
    status = 402
    message = "The monthly spend cap is reached."


class IdempotencyMismatch(BillingError):
    """A key came back with other contents: a bug or an attack, never a retry."""

    code = "idempotency_mismatch"
    status = 422
    message = "This key was already used for something else."


class HoldClosed(BillingError):
    """The hold was captured, released or expired before."""

    code = "hold_closed"
    status = 409
    message = "This hold is already closed."


class ExceedsOriginal(BillingError):
    """More was asked for than the original act left to take or give back."""

    code = "exceeds_original"
    status = 422
    message = "That is more than is left of the original amount."


class NotPossible(BillingError):
    """The ledger has no such account, hold or lot, or the accounts do not match."""

    code = "not_possible"
    status = 422
    message = "This is not possible."


class LedgerWriteRefused(BillingError):
    """Somebody tried to write a ledger table past its functions."""

    code = "ledger_write_refused"
    status = 500
    message = "This is not possible."


class NotRefundable(BillingError):
    """The payment has less left to refund, or nothing."""

    code = "not_refundable"
    status = 409
    message = "This payment has less left to refund."


class RailUnavailable(BillingError):
    """The provider could not be reached or refused the call; nothing was charged."""

    code = "rail_unavailable"
    status = 503
    message = "The payment provider cannot be reached at the moment. Please try again."

    def __init__(self, message: str | None = None, *, key_spent: bool = False) -> None:
        """``key_spent``: it answered an error and would repeat it for the same key."""
        super().__init__(message)
        self.key_spent = key_spent


class AlreadySubscribed(BillingError):
    """The customer has a live subscription; a second one would be paid twice."""

    code = "already_subscribed"
    status = 409
    message = "There is a subscription already. Change its plan instead of buying a second one."


class NoSubscription(BillingError):
    """The customer has no live subscription to act on."""

    code = "no_subscription"
    status = 404
    message = "There is no subscription."


class ChangeNotPossible(BillingError):
    """The plan cannot be changed like that, or not now."""

    code = "change_not_possible"
    status = 409
    message = "This change is not possible."


class QuoteOutdated(BillingError):
    """What was shown before confirming is no longer true; nothing was changed."""

    code = "quote_outdated"
    status = 409
    message = "The amount shown is out of date. Nothing was changed; please look again."


class PaymentDeclined(BillingError):
    """The provider declined the charge; nothing was changed."""

    code = "payment_declined"
    status = 402
    message = "The payment was declined and nothing was changed. Please update the card."
