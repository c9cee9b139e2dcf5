"""Whatever refunds and disputes do in whatever order: documents say what went back."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from django.db import transaction

from billing.models import Dispute, DisputeState, Invoice, InvoiceKind, Payment, Refund, RefundState
from billing.services import disputes, invoices, refunds
from billing.services.rails import RefundAnswer
from common.errors import BillingError
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.prepaid import differences
from tests.factories import make_payment

pytestmark = pytest.mark.django_db

STATES = (DisputeState.OPEN, DisputeState.LOST, DisputeState.WON)


def happen(random: Random, payment: Payment, disputed_minor: int) -> None:
    """One thing that refunds, banks and workers do."""
    act = random.choice(["issue", "dispute", "dispute", "correct", "refund", "answer"])
    if act == "issue":
        invoices.issue_due()
    elif act == "dispute":
        disputes.record(payment.pk, claim(random, payment, disputed_minor))
    elif act == "correct" and Dispute.objects.exists():
        disputes.correct(payment.pk, claim(random, payment, disputed_minor))
    elif act == "refund":
        refunds.request(payment.pk, reason="asked", amount_minor=random.choice([50, 77]))
    elif act == "answer":
        state = random.choice([RefundState.SUCCEEDED, RefundState.FAILED])
        for refund in Refund.objects.order_by("pk"):
            refunds.record(refund.pk, RefundAnswer(f"re_{refund.pk}", state))


def claim(random: Random, payment: Payment, amount_minor: int) -> disputes.Claim:
    state = random.choice(STATES)
    return disputes.Claim(
        external_id="dp_1",
        state=state,
        provider_status=str(state),
        reason="fraudulent",
        amount_minor=amount_minor,
        withdrawn_minor=amount_minor,
        reinstated_minor=amount_minor if state == DisputeState.WON else 0,
        fee_minor=0,
        opened_at=payment.occurred_at,
        evidence_due_at=None,
    )


def told() -> int:
    """What the documents say went back, together."""
    notes = Invoice.objects.exclude(kind=InvoiceKind.INVOICE)
    return sum(
        one.total_minor if one.kind == InvoiceKind.CREDIT_NOTE else -one.total_minor
        for one in notes
    )


def gone() -> int:
    refunded = Refund.objects.filter(state=RefundState.SUCCEEDED)
    lost = Dispute.objects.filter(state=DisputeState.LOST, is_frozen=True)
    return sum(one.amount_minor for one in refunded) + sum(one.frozen_minor for one in lost)


@pytest.mark.parametrize("seed", range(10))
def test_documents_add_up_to_what_went_back(seed: int) -> None:
    random = Random(seed)
    with only_rail(FakeRail()):
        payment = make_payment(tax_minor=99)
        disputed_minor = random.choice([payment.amount_minor, 1_00, 3_33])
        for _ in range(20):
            with suppress(BillingError), transaction.atomic():
                happen(random, payment, disputed_minor)
        while invoices.issue_due():
            pass

    assert (told(), differences()) == (gone(), [])
    assert not Invoice.objects.filter(number=None).exists()
