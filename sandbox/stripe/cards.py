"""Stripe's published test cards, and what happens to each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. ``decline`` is (code, decline_code, message) or None when it pays.

    ``dispute`` is the reason for which its payments are disputed at once; ``inquiry`` softens that.
    ``attaches`` says that the card can be saved although it declines. ``always_asks`` says that
    each payment needs its owner: off-session none goes through, even after it was set up.
    """

    number: str
    brand: str = "visa"
    challenge: bool = False
    decline: tuple[str, str, str] | None = None
    funding: str = "credit"
    dispute: str | None = None
    inquiry: bool = False
    attaches: bool = False
    always_asks: bool = False

    @property
    def last4(self) -> str:
        """The only digits that are kept."""
        return self.number[-4:]

    @property
    def why_not_saved(self) -> tuple[str, str, str] | None:
        """The decline that meets an attempt to save the card, or None when it can be saved."""
        return None if self.attaches else self.decline

    def off_session(self, *, set_up: bool) -> tuple[str, str, str] | None:
        """The decline of a charge without its owner, or None when it goes through.

        ``set_up`` tells whether the owner once authenticated the card to be charged so.
        """
        if self.always_asks or (self.challenge and not set_up):
            return AUTHENTICATION_REQUIRED
        return self.decline


DECLINED = ("card_declined", "generic_decline", "Your card was declined.")
INSUFFICIENT = ("card_declined", "insufficient_funds", "Your card has insufficient funds.")
EXPIRED = ("expired_card", "expired_card", "Your card has expired.")
WRONG_CVC = ("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
PROCESSING = (
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
)

AUTHENTICATION_REQUIRED = (
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)

GOOD = "4242424242424242"
CARDS = {
    card.number: card
    for card in (
        Card("4242424242424242"),
        Card("4000056655665556", funding="debit"),
        Card("5555555555554444", "mastercard"),
        Card("378282246310005", "amex"),
        Card("4000000000000002", decline=DECLINED),
        Card("4000000000009995", decline=INSUFFICIENT),
        Card("4000000000000069", decline=EXPIRED),
        Card("4000000000000127", decline=WRONG_CVC),
        Card("4000000000000119", decline=PROCESSING),
        Card("4000000000000341", decline=DECLINED, attaches=True),
        Card("4000002500003155", challenge=True),
        Card("4000002760003184", challenge=True, always_asks=True),
        Card("4000008400001629", challenge=True, decline=DECLINED),
        Card("4000000000000259", dispute="fraudulent"),
        Card("4000000000002685", dispute="product_not_received"),
        Card("4000000000001976", dispute="fraudulent", inquiry=True),
    )
}


# Stripe's ready-made payment methods: an id that stands for a card that was typed in.
READY_MADE = {
    "pm_card_visa": "4242424242424242",
    "pm_card_visa_debit": "4000056655665556",
    "pm_card_mastercard": "5555555555554444",
    "pm_card_amex": "378282246310005",
    "pm_card_chargeDeclined": "4000000000000002",
    "pm_card_chargeDeclinedInsufficientFunds": "4000000000009995",
    "pm_card_chargeCustomerFail": "4000000000000341",
    "pm_card_authenticationRequired": "4000002760003184",
    "pm_card_authenticationRequiredOnSetup": "4000002500003155",
}


class BadCard(Exception):
    """The number cannot be taken; the message goes beside the field."""


def find(number: str) -> Card:
    """The test card with this number, blanks and dashes ignored. Raises BadCard."""
    digits = "".join(character for character in number if character not in " -")
    if not digits:
        raise BadCard("Your card number is incomplete.")
    if not (digits.isascii() and digits.isdigit() and 12 <= len(digits) <= 19):
        raise BadCard("Your card number is invalid.")
    if digits in CARDS:
        return CARDS[digits]
    if not _luhn(digits):
        raise BadCard("Your card number is invalid.")
    raise BadCard("The sandbox takes test cards only. Never type a real card number here.")


def _luhn(digits: str) -> bool:
    """Whether the check digit is right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0
