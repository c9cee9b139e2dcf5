"""Credit notes follow what became of the refund or dispute; what was issued is never edited."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from billing.models import Dispute, DisputeState, Invoice, InvoiceKind, Payment, Refund
from billing.selectors import audit
from billing.services import disputes, invoice_drafts, invoices, refunds
from billing.services.rails import RefundAnswer
from common.ids import uuid7
from tests.billing.fakes import FakeRail
from tests.billing.mails import deliver
from tests.factories import NOW, make_payment

pytestmark = pytest.mark.django_db

CREDIT_NOTE, REVERSAL = InvoiceKind.CREDIT_NOTE, InvoiceKind.REVERSAL


@pytest.fixture(autouse=True)
def _books_add_up(rail: FakeRail) -> object:
    yield
    assert audit.differences() == []


def refunded(payment: Payment, amount_minor: int = 2_00) -> Refund:
    refund = refunds.request(payment.pk, reason="asked", amount_minor=amount_minor)
    return refunds.record(refund.pk, RefundAnswer(f"re_{refund.pk}", "succeeded"))


def failed(refund: Refund) -> Refund:
    return refunds.record(refund.pk, RefundAnswer(refund.external_id or "", "failed", "bounced"))


def disputed(payment: Payment, state: DisputeState, **changes: int) -> Dispute:
    told = {
        "amount_minor": payment.amount_minor,
        "withdrawn_minor": payment.amount_minor,
        "reinstated_minor": 0,
        "fee_minor": 15_00,
    }
    claim = disputes.Claim(
        external_id=f"dp_{payment.pk}",
        state=state,
        provider_status=str(state),
        reason="fraudulent",
        opened_at=NOW,
        evidence_due_at=None,
        **(told | changes),
    )
    return disputes.record(payment.pk, claim)


def documents(payment: Payment) -> list[tuple[str, int, int | None]]:
    """Kind, total and number of what corrects an invoice, in the order it was written."""
    found = Invoice.objects.filter(order=payment.order).exclude(kind=InvoiceKind.INVOICE)
    return [(one.kind, one.total_minor, one.number) for one in found.order_by("pk")]


def test_a_credit_note_is_not_issued_for_a_refund_that_failed_meanwhile() -> None:
    payment = make_payment()
    invoices.issue_due()
    refund = refunded(payment)
    assert documents(payment) == [(CREDIT_NOTE, 2_00, None)]

    failed(refund)
    invoices.issue_due()

    assert documents(payment) == []


def test_a_refund_that_fails_after_its_note_was_issued_is_reversed_once() -> None:
    payment = make_payment(tax_minor=99)
    refund = refunded(payment)
    invoices.issue_due()

    failed(refund)
    failed(refund)
    invoices.issue_due()
    invoices.issue_due()

    note, reversal = Invoice.objects.filter(refund=refund).order_by("pk")
    assert documents(payment) == [(CREDIT_NOTE, 2_00, 1), (REVERSAL, 2_00, 1)]
    assert reversal.corrects == note
    assert (reversal.tax, reversal.lines) == (note.tax, note.lines)
    assert reversal.name.startswith("REV-")


def test_a_refund_that_was_made_after_all_gets_a_further_note() -> None:
    payment = make_payment()
    refund = refunded(payment)
    invoices.issue_due()
    failed(refund)
    invoices.issue_due()

    answer = RefundAnswer(refund.external_id or "", "succeeded")
    refunds.record(refund.pk, answer, even_back=True)
    invoices.issue_due()

    assert documents(payment) == [
        (CREDIT_NOTE, 2_00, 1),
        (REVERSAL, 2_00, 1),
        (CREDIT_NOTE, 2_00, 2),
    ]


def test_a_reversal_nobody_has_seen_is_thrown_away_when_the_note_is_true_again() -> None:
    payment = make_payment()
    refund = refunded(payment)
    invoices.issue_due()
    failed(refund)
    assert documents(payment)[-1] == (REVERSAL, 2_00, None)

    answer = RefundAnswer(refund.external_id or "", "succeeded")
    refunds.record(refund.pk, answer, even_back=True)
    invoices.issue_due()

    assert documents(payment) == [(CREDIT_NOTE, 2_00, 1)]


def test_a_lost_dispute_that_is_won_after_all_is_reversed() -> None:
    payment = make_payment(tax_minor=99)
    disputed(payment, DisputeState.OPEN)
    invoices.issue_due()
    assert documents(payment) == []
    disputed(payment, DisputeState.LOST)
    invoices.issue_due()

    disputed(payment, DisputeState.WON, reinstated_minor=payment.amount_minor)
    invoices.issue_due()

    total = payment.amount_minor
    assert documents(payment) == [(CREDIT_NOTE, total, 1), (REVERSAL, total, 1)]


def test_a_lost_dispute_that_takes_more_later_gets_a_note_of_all_it_took() -> None:
    payment = make_payment()
    refund = refunded(payment)
    disputed(payment, DisputeState.LOST)
    invoices.issue_due()

    failed(refund)
    invoices.issue_due()

    assert documents(payment) == [
        (CREDIT_NOTE, 2_00, 1),
        (CREDIT_NOTE, 3_00, 2),
        (REVERSAL, 2_00, 1),
        (REVERSAL, 3_00, 2),
        (CREDIT_NOTE, 5_00, 3),
    ]


def test_what_went_back_before_the_invoice_was_written_waits_for_its_number() -> None:
    payment = make_payment()
    refunded(payment)
    assert Invoice.objects.count() == 0

    invoice_drafts.draft_missing()
    note = Invoice.objects.get(kind=CREDIT_NOTE)
    assert not invoices.issue(note.pk)
    invoices.issue_due()

    note.refresh_from_db()
    assert note.number == 1
    assert note.corrects == payment.invoice


def test_the_look_at_all_finds_what_was_followed_by_nobody() -> None:
    payment = make_payment()
    refunded(payment)
    invoice_drafts.draft_missing()
    Invoice.objects.filter(kind=CREDIT_NOTE).delete()

    assert invoice_drafts.unfollowed_ids(10) == {payment.pk}
    invoices.issue_due()
    assert documents(payment) == []
    invoices.issue_due(look_back_seconds=None)

    assert documents(payment) == [(CREDIT_NOTE, 2_00, 1)]
    assert invoice_drafts.unfollowed_ids(10) == set()


def test_the_database_refuses_a_second_note_of_the_same_round() -> None:
    payment = make_payment()
    refunded(payment)
    invoices.issue_due()
    note = Invoice.objects.get(kind=CREDIT_NOTE)

    note.pk, note.number, note.issued_at = uuid7(), None, None
    refused = pytest.raises(IntegrityError, match="refund_documented_once_a_round")
    with refused, transaction.atomic():
        note.save(force_insert=True)


def test_the_usual_look_is_one_question_when_nothing_is_due(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    failed(refunded(make_payment()))
    invoices.issue_due()

    with django_assert_num_queries(1):
        invoice_drafts.draft_missing(look_back_seconds=invoices.LOOK_BACK_SECONDS)


def test_each_document_is_e_mailed_once_with_its_file() -> None:
    payment = make_payment(tax_minor=99)
    refund = refunded(payment)
    invoices.issue_due()
    failed(refund)
    invoices.issue_due()

    sent = deliver()

    files = [name for message in sent for name, _content, _type in message.attachments]
    names = [one.name for one in Invoice.objects.filter(order=payment.order)]
    assert sorted(files) == sorted(f"{name}.pdf" for name in names)
    assert deliver() == []
