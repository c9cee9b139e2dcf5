"""E-mails for tests: sent by the worker's own code, and read."""

from __future__ import annotations

from django.core import mail
from django.core.mail import EmailMultiAlternatives

from billing.models import Email, EmailKind, EmailState
from billing.services import emails, outbox
from common import clock
from tests.factories import NOW


def deliver() -> list[EmailMultiAlternatives]:
    """Send all that is due, twice over; what went out since the last time."""
    mail.outbox.clear()
    for _ in range(2):
        for email_id in outbox.due_ids():
            outbox.send(email_id)
    return [message for message in mail.outbox if isinstance(message, EmailMultiAlternatives)]


def only() -> EmailMultiAlternatives:
    (message,) = deliver()
    return message


def states(kind: EmailKind) -> list[str]:
    return list(Email.objects.filter(kind=kind).order_by("pk").values_list("state", flat=True))


def said(message: EmailMultiAlternatives, *parts: object) -> None:
    """All of it stands in the text, and in the HTML."""
    html = str(message.alternatives[0][0]).replace("&#x27;", "'").replace("&amp;", "&")
    for part in parts:
        assert str(part) in " ".join(str(message.body).split())
        assert str(part) in html


def mail_of(kind: EmailKind) -> EmailMultiAlternatives:
    """The last that was sent of that kind, written once more."""
    email = Email.objects.filter(kind=kind, state=EmailState.SENT).order_by("pk").first()
    assert email is not None
    with clock.frozen(email.sent_at or NOW):
        emails.send_again(email.pk)
        return only()
