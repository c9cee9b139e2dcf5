"""Holds over the API: set units aside before work, take what it cost, give back the rest."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

from accounts.models import Customer
from billing import ledger
from billing.errors import HoldClosed, IdempotencyMismatch, SpendCapReached
from billing.models import Code, Hold
from billing.money import CREDIT, FLUX, KLING, STAR, Asset, Money
from billing.selectors import quota
from billing.selectors.statements import reference_group
from billing.services import auto_top_ups, spend_caps
from common import clock, ids

# What lies in wallets and can be set aside; currencies cannot.
UNITS: tuple[Asset, ...] = (CREDIT, FLUX, KLING, STAR)
MIN_TTL_SECONDS = 1
MAX_TTL_SECONDS = 86_400
DEFAULT_TTL_SECONDS = 900
MAX_REFERENCE_LENGTH = 120

# Longer keys of a caller's are hashed, to fit into a ledger key.
_PLAIN_KEY_LENGTH = 100


def reserve(
    customer: Customer,
    amount: Money,
    *,
    ttl_seconds: int = DEFAULT_TTL_SECONDS,
    reference: str = "",
    idempotency_key: str | None = None,
) -> Hold:
    """Set ``amount`` aside for ``ttl_seconds``, once per customer and idempotency key, for ever.

    Without a key each call is an act of its own. Raises InsufficientFunds, InDebt,
    SpendCapReached, and IdempotencyMismatch when the key comes back with another amount.
    """
    now = clock.now()
    try:
        hold = ledger.reserve(
            ledger.wallet(customer, amount.asset),
            amount.amount_minor,
            code=Code.USAGE,
            key=quota.cause_prefix(customer) + _cause(idempotency_key),
            group=reference_group(customer.pk, reference) if reference else None,
            deadline_at=now + timedelta(seconds=ttl_seconds),
            occurred_at=now,
        )
    except SpendCapReached as refusal:
        spend_caps.was_refused(customer, refusal)
        raise
    if amount.asset == CREDIT:
        auto_top_ups.ring_if_low(customer)
    return quota.hold(customer, hold.pk)


def capture(customer: Customer, hold_id: UUID, amount_minor: int | None = None) -> Hold:
    """Take ``amount_minor`` of a hold (None: all of it), once; what is left over comes back.

    Capturing the same amount again changes nothing. Raises NotFound, ExceedsOriginal, and
    HoldClosed when it was captured with another amount, released or has expired.
    """
    hold = quota.hold(customer, hold_id)
    wanted_minor = hold.amount_minor if amount_minor is None else amount_minor
    try:
        ledger.capture(hold, wanted_minor, key=f"hold:{hold.pk}:capture", occurred_at=clock.now())
    except IdempotencyMismatch:
        raise HoldClosed from None
    return quota.hold(customer, hold_id)


def release(customer: Customer, hold_id: UUID) -> Hold:
    """Give a hold back whole; repeating it changes nothing. Raises NotFound and HoldClosed."""
    hold = quota.hold(customer, hold_id)
    ledger.release(hold.pk, occurred_at=clock.now())
    return quota.hold(customer, hold_id)


def _cause(idempotency_key: str | None) -> str:
    if idempotency_key is None:
        return str(ids.uuid7())
    if len(idempotency_key) <= _PLAIN_KEY_LENGTH:
        return idempotency_key
    return f"sha256:{hashlib.sha256(idempotency_key.encode()).hexdigest()}"
