"""Adjustments: units that staff give to a customer or take away, by hand and for a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import Customer
from billing import ledger
from billing.models import Code, StaffAction
from billing.money import Money
from billing.services import notifiers, staff
from billing.services.staff import Act, Detail, Note
from common import clock
from common.errors import Conflict, InvalidInput

# Where units go that staff took away: neither used nor refunded.
TAKEN = "adjusted"


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What was done, for those who tell the customer; ``amount`` is negative if it was taken."""

    action: StaffAction
    customer: Customer
    amount: Money


@transaction.atomic
def grant(
    note: Note,
    customer: Customer,
    amount: Money,
    *,
    promotional: bool,
    expires_at: datetime | None = None,
) -> StaffAction:
    """Put units into the customer's wallet as one lot without cost, once per key of the note.

    Promotional units are a gift: spent first, they pay no debt. Others make up for something and
    pay what is owed first. Raises InvalidInput for a day that is past.
    """
    now = clock.now()
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("That day is past.", fields={"expires_on": ["That day is past."]})

    def do() -> Detail:
        ledger.grant(
            ledger.wallet(customer, amount.asset),
            amount.amount_minor,
            code=Code.PROMOTION if promotional else Code.ADJUSTMENT,
            key=f"adjustment:{note.key}",
            group=f"adjustment:{note.key}",
            occurred_at=now,
            origin=f"adjustment:{note.key}",
            expires_at=expires_at,
            promotional=promotional,
        )
        return {}

    asked = {
        "amount": str(amount),
        "promotional": promotional,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    action = _once(note, Act.GRANT_CREDITS, customer, asked, do)
    notifiers.tell("credits_adjusted", Adjusted(action, customer, amount))
    return action


@transaction.atomic
def take(note: Note, customer: Customer, amount: Money, *, may_owe: bool) -> StaffAction:
    """Take units out of the customer's wallet, once per key of the note.

    ``may_owe`` makes a debt of what the wallet does not cover; otherwise raises Conflict. Neither
    a debt nor the customer's own spend cap refuses it.
    """

    def do() -> Detail:
        debit = ledger.Debit(
            ledger.wallet(customer, amount.asset),
            amount.amount_minor,
            Code.ADJUSTMENT,
            f"adjustment:{note.key}",
            target=TAKEN,
            owed_on="debt",
        )
        (result,) = ledger.spend_many([debit], occurred_at=clock.now())
        owed = Money(result.owed_minor, amount.asset)
        if owed and not may_owe:
            raise Conflict(f"There is less in this wallet: {amount - owed} could be taken.")
        return {"owed": str(owed)}

    asked = {"amount": str(amount), "may_owe": may_owe}
    action = _once(note, Act.TAKE_CREDITS, customer, asked, do)
    notifiers.tell("credits_adjusted", Adjusted(action, customer, -amount))
    return action


def _once(
    note: Note, act: Act, customer: Customer, asked: Detail, do: Callable[[], Detail]
) -> StaffAction:
    subject = f"customer:{customer.pk}"
    return staff.once(note, act, subject=subject, customer=customer, asked=asked, do=do)
