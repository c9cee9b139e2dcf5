"""Ids that look like Stripe's test-mode ids."""

from __future__ import annotations

import secrets
import string

ALPHABET = string.ascii_letters + string.digits


def token(length: int) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new(prefix: str, length: int = 24) -> str:
    """A new id; payments' ids (``pi_3…``, ``ch_3…``) begin with a digit like Stripe's."""
    lead = {"pi": "3", "ch": "3", "py": "3", "re": "3", "pyr": "3", "txn": "3"}.get(prefix, "1")
    if prefix in {"cus", "prod", "si"}:
        return f"{prefix}_{token(14)}"
    return f"{prefix}_{lead}{token(length - 1)}"


def session() -> str:
    """A Checkout Session's id; the prefix says test mode."""
    return f"cs_test_a1{token(56)}"
