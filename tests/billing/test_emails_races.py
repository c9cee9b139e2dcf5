"""Many workers on one outbox: real threads, each e-mail sent once."""

from __future__ import annotations

from functools import partial

import pytest
from django.core import mail

from billing.models import Email, EmailKind, EmailState
from billing.services import emails, outbox
from tests.factories import make_customer
from tests.ledger.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

THREADS, EMAILS = 8, 6


def sweep() -> None:
    for email_id in outbox.due_ids():
        outbox.send(email_id)


def test_each_is_sent_once_however_many_sweep() -> None:
    customer = make_customer()
    told = {"amount_minor": "5000000", "asset": "CREDIT"}
    for number in range(EMAILS):
        key = f"cause:{number}"
        emails.queue(kind=EmailKind.STAFF_ADJUSTMENT, customer=customer, key=key, context=told)

    at_once([sweep] * THREADS)

    assert len(mail.outbox) == EMAILS
    assert Email.objects.filter(state=EmailState.SENT, attempts=1).count() == EMAILS


def test_one_cause_told_by_many_makes_one_email() -> None:
    customer = make_customer()
    tell = partial(
        emails.queue, kind=EmailKind.RECEIPT, customer=customer, key="receipt:1", context={}
    )

    answers = at_once([tell] * THREADS)

    assert sorted(str(answer) for answer in answers) == ["False"] * (THREADS - 1) + ["True"]
    assert Email.objects.count() == 1
