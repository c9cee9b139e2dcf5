"""What staff do by hand: each act and its reason in the log, both or neither, once per key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import TextChoices

from accounts.models import Customer, User
from billing.errors import IdempotencyMismatch
from billing.models import Email, InboundEvent, Payment, StaffAction
from billing.money import Money
from billing.services import emails, inbox, refunds, unapplied
from common.errors import InvalidInput

Detail = dict[str, Any]


class Act(TextChoices):
    """What staff can do here; other apps may log acts of their own."""

    REFUND = "refund", "Refunded a payment"
    GRANT_CREDITS = "grant_credits", "Granted credits"
    TAKE_CREDITS = "take_credits", "Took credits away"
    APPLY_UNAPPLIED = "apply_unapplied", "Turned unapplied money into credits"
    ASSIGN_PAYER = "assign_payer", "Said who paid"
    HANDLE_AGAIN = "handle_again", "Had an event handled again"
    SEND_AGAIN = "send_again", "Had an e-mail sent again"
    RECONCILE = "reconcile", "Ran a reconciliation"
    REPAIR = "repair_difference", "Repaired a difference"
    END_SUBSCRIPTION = "end_subscription", "Ended a subscription"
    END_SUBSCRIPTION_LATER = "end_subscription_later", "Let a subscription end with its period"
    REFRESH_SUBSCRIPTION = "refresh_subscription", "Refreshed a subscription"


@dataclass(frozen=True, slots=True)
class Note:
    """Who acts and why. ``key`` names the one act, so that a repeated submission acts once."""

    staff: User
    reason: str
    key: str


def done(key: str) -> StaffAction | None:
    """What was done under that key, if anything."""
    return StaffAction.objects.filter(key=key).first()


@transaction.atomic
def once(
    note: Note,
    act: str,
    *,
    subject: str,
    customer: Customer | None,
    asked: Detail,
    do: Callable[[], Detail],
) -> StaffAction:
    """Do something and log it, both or neither, once per key.

    The log keeps what was ``asked`` and what ``do`` returns. A key that was used before returns
    its first action. Raises IdempotencyMismatch when it comes back for something else, and
    InvalidInput without a reason.
    """
    if not note.reason.strip():
        raise InvalidInput("Say why.", fields={"reason": ["Say why."]})
    _wait_for_twin(note.key)
    before = done(note.key)
    if before is None:
        return record(note, act, subject=subject, customer=customer, detail=asked | do())
    first = (before.staff_id, before.act, before.subject, before.detail | asked)
    if first != (note.staff.pk, act, subject, before.detail):
        raise IdempotencyMismatch
    return before


def record(
    note: Note, act: str, *, subject: str, customer: Customer | None, detail: Detail
) -> StaffAction:
    """Log an act; call it in the transaction of the act itself."""
    return StaffAction.objects.create(
        key=note.key,
        staff=note.staff,
        act=act,
        subject=subject,
        customer=customer,
        reason=note.reason.strip(),
        detail=detail,
    )


def refund(note: Note, payment: Payment, amount: Money, *, forced: bool) -> StaffAction:
    """Ask for a refund of exactly ``amount``; see ``refunds.request`` for what it refuses."""

    def do() -> Detail:
        made = refunds.request(
            payment.pk,
            reason=note.reason,
            amount_minor=amount.amount_minor,
            forced=forced,
            by=note.staff,
        )
        return {"refund": str(made.pk)}

    return once(
        note,
        Act.REFUND,
        subject=f"payment:{payment.pk}",
        customer=payment.customer,
        asked={"amount": str(amount), "forced": forced},
        do=do,
    )


def apply_as_credits(note: Note, payment: Payment) -> StaffAction:
    """Turn an unapplied payment into credits. Raises Conflict when that is not possible."""
    return once(
        note,
        Act.APPLY_UNAPPLIED,
        subject=f"payment:{payment.pk}",
        customer=payment.customer,
        asked={"amount": str(payment.amount)},
        do=lambda: {"order": str(unapplied.apply_as_credits(payment.pk).order_id)},
    )


def assign_payer(note: Note, payment: Payment, customer: Customer) -> StaffAction:
    """Say who an unknown payer was. Raises Conflict when that is known already."""

    def do() -> Detail:
        unapplied.assign(payment.pk, customer)
        return {}

    return once(
        note,
        Act.ASSIGN_PAYER,
        subject=f"payment:{payment.pk}",
        customer=customer,
        asked={"customer": str(customer.pk), "amount": str(payment.amount)},
        do=do,
    )


def handle_again(note: Note, event: InboundEvent) -> StaffAction:
    """Put a stored event back in the queue; handlers act once all the same."""

    def do() -> Detail:
        inbox.handle_again(event.pk)
        return {"was": event.state}

    return once(
        note,
        Act.HANDLE_AGAIN,
        subject=f"event:{event.pk}",
        customer=None,
        asked={"event": event.external_id, "kind": event.kind},
        do=do,
    )


def send_again(note: Note, email: Email) -> StaffAction:
    """Have an e-mail sent once more, with what is so now."""

    def do() -> Detail:
        emails.send_again(email.pk)
        return {"was": email.state}

    return once(
        note,
        Act.SEND_AGAIN,
        subject=f"email:{email.pk}",
        customer=email.customer,
        asked={"kind": email.kind, "key": email.key},
        do=do,
    )


def _wait_for_twin(key: str) -> None:
    """Let a second submission of the same form wait until the first has committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"staff:{key}"])
