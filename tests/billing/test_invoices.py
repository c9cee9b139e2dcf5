"""Our own invoices: one per payment, numbered without gaps, final once issued."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.db import DatabaseError, transaction
from pypdf import PdfReader

from billing.errors import LedgerWriteRefused
from billing.models import Invoice, InvoiceKind
from billing.services import invoice_drafts, invoice_pdf, invoices, refunds
from billing.services.rails import RefundAnswer
from common.errors import Conflict
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import make_customer, make_order, make_payment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rail() -> object:
    with only_rail(FakeRail()) as used:
        yield used


def _text(invoice: Invoice) -> str:
    """What a reader finds in the file itself."""
    pages = PdfReader(BytesIO(invoice_pdf.render(invoice))).pages
    return "\n".join(page.extract_text() for page in pages)


def test_a_payment_gets_one_invoice_however_often_they_are_due() -> None:
    payment = make_payment(tax_minor=99)

    assert invoices.issue_due() == 1
    assert invoices.issue_due() == 0

    invoice = Invoice.objects.get(payment=payment)
    assert (invoice.kind, invoice.number) == (InvoiceKind.INVOICE, 1)
    assert invoice.total == payment.amount
    assert invoice.name.startswith("INV-")


def test_money_that_fits_nothing_gets_none_until_it_becomes_something() -> None:
    order = make_order()
    make_payment(order)
    make_payment(order)

    invoices.issue_due()

    # The second payment of the order became credits, by an order of its own.
    assert Invoice.objects.count() == 2
    assert len(set(Invoice.objects.values_list("order", flat=True))) == 2


def test_what_went_back_is_a_credit_note_that_names_its_invoice() -> None:
    payment = make_payment(tax_minor=99)
    invoices.issue_due()

    refund = refunds.request(payment.pk, reason="test", amount_minor=2_00)
    refunds.record(refund.pk, RefundAnswer("re_1", "succeeded"))
    invoices.issue_due()

    note = Invoice.objects.get(refund=refund)
    assert note.kind == InvoiceKind.CREDIT_NOTE
    assert note.corrects == payment.invoice
    assert note.total == refund.amount
    assert "Corrects" in _text(note)
    assert payment.invoice.name in _text(note)


def test_the_file_holds_the_figures_and_more_than_one_alphabet() -> None:
    customer = make_customer(
        name="ООО Пример", address="ул. Примерная, 1\nМосква", tax_id="7700000000", country="RU"
    )
    payment = make_payment(make_order(customer=customer), tax_minor=99)
    invoices.issue_due()

    text = _text(Invoice.objects.get(payment=payment))

    for expected in ("INV-", "ООО Пример", "Москва", "7700000000", "$5.00", "$0.99", "$5.99"):
        assert expected in text


def test_what_looks_like_markup_is_only_text() -> None:
    customer = make_customer(name='#panic("x") *bold* $x$ <label> \\ "')
    payment = make_payment(make_order(customer=customer))
    invoices.issue_due()

    assert '#panic("x") *bold* $x$ <label>' in _text(Invoice.objects.get(payment=payment))


def test_the_file_is_of_the_moment_at_which_it_was_issued() -> None:
    make_payment()
    invoices.issue_due()
    invoice = Invoice.objects.get()

    metadata = PdfReader(BytesIO(invoice_pdf.render(invoice))).metadata

    assert metadata is not None
    assert invoice.issued_at is not None
    assert metadata.creation_date == invoice.issued_at.replace(microsecond=0)


def test_a_draft_has_no_file_yet() -> None:
    make_payment()
    invoice_drafts.draft_missing()

    with pytest.raises(Conflict):
        invoice_pdf.render(Invoice.objects.get())


def test_an_issued_invoice_cannot_be_changed_or_deleted() -> None:
    make_payment()
    invoices.issue_due()
    invoice = Invoice.objects.get()

    for harm in (lambda: Invoice.objects.update(tax_minor=1), invoice.delete):
        with pytest.raises((DatabaseError, LedgerWriteRefused)), transaction.atomic():
            harm()

    assert Invoice.objects.get().tax_minor == 0
