"""Sending what the outbox holds: each e-mail written and sent outside any transaction.

A worker takes an e-mail for the length of a lease, so that no two send the same. It is marked when
the mail server has it. A worker that dies in between leaves it to the next one, which sends it
again: at least once, never lost. Both carry the same Message-ID, by which mail programs tell that
it is the same.
"""

from __future__ import annotations

import logging
import smtplib
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import translation

from billing.models import Email, EmailState
from billing.services import emails, letter_forms, letters
from billing.services.letters import NotNeeded, NotYet
from common import clock

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
# Tried for about two days, then given up and shown to staff.
MAX_ATTEMPTS = 16
MAX_BACK_OFF = timedelta(hours=4)
IN_A_MOMENT = timedelta(seconds=5)
# Secrets that an e-mail hands over; they are not kept once it has.
_SECRETS = ("url",)


def send(email_id: UUID) -> None:
    """Send one e-mail if it is due; what fails is kept and tried again, rarer each time."""
    email = _claim(email_id)
    if email is None:
        return
    try:
        if emails.is_muted(email.customer, email.kind):
            raise NotNeeded("Muted by the customer.")
        _send(email)
    except NotNeeded as reason:
        _close(email, EmailState.DROPPED, str(reason))
    except NotYet as reason:
        _postpone(email, str(reason), IN_A_MOMENT)
    except Exception as error:  # noqa: BLE001 - any failure is kept, shown and tried again
        _failed(email, error)


def due_ids(limit: int = 500) -> list[UUID]:
    """E-mails to send now: never tried, or failed and due."""
    due = Email.objects.filter(state=EmailState.WAITING, next_try_at__lte=clock.now())
    return list(due.order_by("next_try_at", "pk").values_list("pk", flat=True)[:limit])


def _send(email: Email) -> None:
    to = email.to_address or email.customer.email
    with translation.override(email.language or email.customer.language):
        letter = letters.write(email)
        made = letter_forms.message(email, letter, to=to)
    made.send()
    # From here on it is out; only our mark is missing.
    email.sent_to = to
    email.subject = letter.subject
    email.context = {key: told for key, told in email.context.items() if key not in _SECRETS}
    if letter.attachments:
        email.context["attached"] = letter.attachments[0].name.removesuffix(".pdf")
    email.sent_at = clock.now()
    _close(email, EmailState.SENT, "")


@transaction.atomic
def _claim(email_id: UUID) -> Email | None:
    now = clock.now()
    email = (
        Email.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("customer")
        .filter(pk=email_id, state=EmailState.WAITING, next_try_at__lte=now)
        .first()
    )
    if email is None:
        return None
    email.attempts += 1
    email.next_try_at = now + LEASE
    email.save(update_fields=["attempts", "next_try_at"])
    return email


def _close(email: Email, state: EmailState, why: str) -> None:
    email.state = state
    email.next_try_at = None
    email.last_error = why
    email.save(
        update_fields=[
            "state",
            "next_try_at",
            "last_error",
            "sent_at",
            "sent_to",
            "subject",
            "context",
        ]
    )


def _postpone(email: Email, why: str, wait: timedelta) -> None:
    email.last_error = why
    email.next_try_at = clock.now() + wait
    email.save(update_fields=["last_error", "next_try_at"])


def _failed(email: Email, error: Exception) -> None:
    logger.warning("e-mail not sent", extra={"email": email.key}, exc_info=error)
    why = f"{type(error).__name__}: {error}"[:2000]
    if email.attempts >= MAX_ATTEMPTS or _is_refused_for_good(error):
        _close(email, EmailState.FAILED, why)
        return
    _postpone(email, why, min(timedelta(minutes=2 ** min(email.attempts, 10)), MAX_BACK_OFF))


def _is_refused_for_good(error: Exception) -> bool:
    """Whether the mail server knows that the address will never take it."""
    if not isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    return all(code >= 500 for code, _why in error.recipients.values())
