"""Holds that programs made over the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext as _

from accounts.models import Customer
from billing.models import Hold
from billing.money import Money
from billing.selectors.statements import reference_in
from common.errors import NotFound


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold as its maker sees it."""

    id: UUID
    state: str
    unit: str
    amount: Money
    captured: Money
    reference: str
    created_at: datetime
    expires_at: datetime | None
    closed_at: datetime | None


def cause_prefix(customer: Customer) -> str:
    """How the ledger keys of what a customer does over the API begin."""
    return f"api:{customer.pk}:"


def hold(customer: Customer, hold_id: UUID) -> Hold:
    """A hold this customer made over the API, its wallet loaded.

    Raises NotFound for anybody else's, and for holds the portal made itself: what a refund has
    pinned is not for a program to release.
    """
    found = (
        Hold.objects.filter(
            pk=hold_id, account__owner=customer, key__startswith=cause_prefix(customer)
        )
        .select_related("account")
        .first()
    )
    if found is None:
        raise NotFound(_("There is no such hold."))
    return found


def hold_row(hold: Hold) -> HoldRow:
    """A hold, its wallet loaded, ready to show."""
    unit = hold.account.unit
    return HoldRow(
        id=hold.pk,
        state=hold.state,
        unit=unit.code,
        amount=Money(hold.amount_minor, unit),
        captured=Money(hold.captured_minor, unit),
        reference=reference_in(hold.group, hold.account),
        created_at=hold.created_at,
        expires_at=hold.deadline_at,
        closed_at=hold.closed_at,
    )
