"""Credit notes follow what became of the refund."""

from __future__ import annotations

import pytest

from billing.models import Invoice
from billing.services import invoices, refunds
from billing.services.rails import RefundAnswer
from tests.billing.fakes import FakeRail
from tests.factories import make_payment

pytestmark = pytest.mark.django_db


def test_a_credit_note_is_not_issued_for_a_refund_that_failed_meanwhile(rail: FakeRail) -> None:
    payment = make_payment()
    invoices.issue_due()
    refund = refunds.request(payment.pk, reason="asked")
    refunds.send(refund.pk)
    refund.refresh_from_db()
    invoices.draft_missing()
    refunds.record(refund.pk, RefundAnswer(refund.external_id or "", "failed", "bounced"))

    invoices.issue_due()

    assert not Invoice.objects.filter(refund=refund).exclude(number=None).exists()
