"""Stripe's published test cards, and what happens to each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """A test card. ``decline`` is (code, decline_code, message) or None when it pays.

    ``dispute`` is the reason for which its payments are disputed at once; ``inquiry`` softens that.
    """

    number: str
    brand: str = "visa"
    challenge: bool = False
    decline: tuple[str, str, str] | None = None
    funding: str = "credit"
    dispute: str | None = None
    inquiry: bool = False

    @property
    def last4(self) -> str:
        """The only digits that are kept."""
        return self.number[-4:]


DECLINED = ("card_declined", "generic_decline", "Your card was declined.")
INSUFFICIENT = ("card_declined", "insufficient_funds", "Your card has insufficient funds.")
EXPIRED = ("expired_card", "expired_card", "Your card has expired.")
WRONG_CVC = ("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.")
PROCESSING = (
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
)

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
        Card("4000002500003155", challenge=True),
        Card("4000008400001629", challenge=True, decline=DECLINED),
        Card("4000000000000259", dispute="fraudulent"),
        Card("4000000000002685", dispute="product_not_received"),
        Card("4000000000001976", dispute="fraudulent", inquiry=True),
    )
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
