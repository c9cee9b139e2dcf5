"""E-mails: what is to be told is written down with what it tells of, and sent afterwards.

``queue`` writes a row of the outbox in the caller's transaction, so nothing is lost by a crash and
nothing is sent of what was rolled back. A worker writes the text and sends it (services/outbox.py).
Apps below billing ask through ``common.notifiers.write``.

What ``context`` holds, as text; ids are of our rows, moments in ISO 8601, reasons are codes:

=========================================  =======================================================
receipt, auto_top_up_charged               payment (the second takes the place of the first)
invoice                                    invoice (a credit note, too)
refund_made; dispute_opened                refund; dispute
payment_failed, subscription_…             subscription
renewal_soon, trial_ending, plan_expires…  subscription, at: when it renews or ends
credits_expire_soon                        at: when they expire
spend_cap_reached                          cap_minor (of credits), until: when the month ends
auto_top_up_failed                         amount_minor, asset, reason (declined, needs_you or none)
auto_top_up_stopped                        reason (declined, no_card, account_blocked or none)
api_key_created                            api_key
staff_adjustment                           action (of the staff log)
invitation                                 team, inviter, role, url (absolute or a path), until
=========================================  =======================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from accounts.models import Customer
from billing.models import Email, EmailKind, EmailState
from common import clock, doorbell

SEND_TASK = "billing.send_email"

# What a customer has to know whatever they chose: money that moved, access that is lost, and what
# somebody else may have done in their name.
MUST_BE_SENT = frozenset(
    {
        EmailKind.RECEIPT,
        EmailKind.REFUND_MADE,
        EmailKind.DISPUTE_OPENED,
        EmailKind.PAYMENT_FAILED,
        EmailKind.SUBSCRIPTION_SUSPENDED,
        EmailKind.SUBSCRIPTION_ENDED,
        EmailKind.AUTO_TOP_UP_CHARGED,
        EmailKind.AUTO_TOP_UP_STOPPED,
        EmailKind.API_KEY_CREATED,
        EmailKind.STAFF_ADJUSTMENT,
        EmailKind.INVITATION,
    }
)

# They bring the invoice of their payment along, and wait a moment for it saying this.
BRING_INVOICES = (EmailKind.RECEIPT, EmailKind.AUTO_TOP_UP_CHARGED)
WAITS_FOR_INVOICE = "Its invoice has no number yet."


@dataclass(frozen=True, slots=True)
class Choice:
    """One kind of e-mail on the notifications page; ``can_be_muted`` says if it is a choice."""

    kind: str
    label: str
    can_be_muted: bool


def queue(
    *,
    kind: EmailKind,
    customer: Customer | UUID,
    key: str,
    context: Mapping[str, Any] | None = None,
    to: str = "",
    language: str = "",
) -> bool:
    """Have one e-mail sent after this transaction, once per key; False if that key was used.

    ``key`` names the cause (``receipt:<payment id>``). ``context`` holds ids, as text, of what the
    kind tells of; what they mean is read when it is sent. It goes to the customer's billing address
    in the customer's language unless ``to`` and ``language`` say otherwise. What the customer has
    muted is dropped when its turn comes.
    """
    customer_id = customer if isinstance(customer, UUID) else customer.pk
    email = Email(
        kind=EmailKind(kind),
        customer_id=customer_id,
        key=key,
        context=dict(context or {}),
        to_address=to,
        language=language,
        next_try_at=clock.now(),
    )
    Email.objects.bulk_create([email], ignore_conflicts=True)
    is_new = Email.objects.filter(pk=email.pk).exists()
    if is_new:
        doorbell.ring(SEND_TASK, str(email.pk))
    return is_new


def queue_many(found: Sequence[Email]) -> None:
    """Have many e-mails sent, those whose key was not used before; the sweep sends them."""
    for email in found:
        email.next_try_at = clock.now()
    Email.objects.bulk_create(found, ignore_conflicts=True)


def choices() -> list[Choice]:
    """Every kind of e-mail a customer may get, in the language of the page; for settings."""
    told = [kind for kind in EmailKind if kind != EmailKind.INVITATION]
    return [Choice(kind.value, str(kind.label), kind not in MUST_BE_SENT) for kind in told]


def is_muted(customer: Customer, kind: str) -> bool:
    """Whether this customer does not want that kind, and may do without it."""
    return kind in customer.muted_emails and kind not in MUST_BE_SENT


def send_again(email_id: UUID) -> None:
    """Have an e-mail sent once more, whatever became of it, with what is so now."""
    Email.objects.filter(pk=email_id).update(
        state=EmailState.WAITING, attempts=0, next_try_at=clock.now(), last_error=""
    )
    doorbell.ring(SEND_TASK, str(email_id))


def forget(customer: Customer) -> None:
    """Keep no address of a customer who leaves; what still waits is sent to nobody."""
    theirs = Email.objects.filter(customer=customer)
    theirs.filter(state=EmailState.WAITING).update(
        state=EmailState.DROPPED, next_try_at=None, last_error="The customer has left."
    )
    theirs.update(to_address="", sent_to="", subject="", context={})
