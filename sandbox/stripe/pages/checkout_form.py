"""Reading the payment form: each field is right or gets a sentence beside it."""

from __future__ import annotations

import re
import time

from sandbox.store import Json
from sandbox.stripe import cards, sessions
from sandbox.stripe.checkout import Payer
from sandbox.stripe.context import Context

EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
EXPIRY = re.compile(r"(0?[1-9]|1[0-2])\s*/\s*(?:20)?([0-9]{2})")


def known_email(session: Json) -> str | None:
    """The address the session came with, which the page does not ask for again."""
    details = session["customer_details"] or {}
    email: str | None = details.get("email")
    return email


def payer(
    context: Context, session: Json, form: dict[str, str]
) -> tuple[Payer | None, dict[str, str]]:
    """Who pays with what, or what is wrong by field."""
    errors: dict[str, str] = {}
    email = known_email(session) or form.get("email", "").strip()
    if len(email) > 512 or not EMAIL.fullmatch(email):
        errors["email"] = "Enter an e-mail address."
    name = form.get("name", "").strip()[:256] or None
    by_card = session["amount_total"] or sessions.wants_card(session)
    if form.get("method") == "bank_debit" and "us_bank_account" in session["payment_method_types"]:
        by_card = False
    if not by_card:
        return (None, errors) if errors else (Payer(email=email, name=name), {})
    card, expiry = typed_card(context, form, errors)
    if errors or card is None:
        return None, errors
    return Payer(email=email, name=name, card=card, expiry=expiry), {}


def typed_card(
    context: Context, form: dict[str, str], errors: dict[str, str]
) -> tuple[cards.Card | None, tuple[int, int]]:
    """The test card and its (month, year); what is wrong is put into ``errors``."""
    card = _card(form, errors)
    expiry = _expiry(context, form, errors)
    if not re.fullmatch(r"[0-9]{3,4}", form.get("cvc", "").strip()):
        errors["cvc"] = "Enter the 3 or 4 digits."
    return card, expiry or (0, 0)


def _card(form: dict[str, str], errors: dict[str, str]) -> cards.Card | None:
    try:
        return cards.find(form.get("card_number", ""))
    except cards.BadCard as problem:
        errors["card_number"] = str(problem)
        return None


def _expiry(
    context: Context, form: dict[str, str], errors: dict[str, str]
) -> tuple[int, int] | None:
    matched = EXPIRY.fullmatch(form.get("expiry", "").strip())
    if matched is None:
        errors["expiry"] = "Enter it as MM/YY."
        return None
    month, year = int(matched[1]), 2000 + int(matched[2])
    today = time.gmtime(context.now)
    if (year, month) < (today.tm_year, today.tm_mon):
        errors["expiry"] = "Your card's expiration date is in the past."
        return None
    return month, year
