"""What a reader finds in the files themselves, in each language."""

from __future__ import annotations

import re
from io import BytesIO

import pytest
from django.utils import translation
from django.utils.translation import gettext
from pypdf import PdfReader

from billing.models import Invoice, InvoiceKind, Payment, Refund
from billing.money import USD, Money
from billing.services import invoice_drafts, invoice_pdf, invoices, refunds
from billing.services.rails import RefundAnswer
from tests.accounts.factories import PersonClient
from tests.billing.callers import text_of
from tests.billing.fakes import FakeRenewingRail
from tests.billing.renewing import payment_of, subscribed
from tests.factories import make_customer, make_order, make_payment

pytestmark = pytest.mark.django_db

LANGUAGES = ["en", "ru"]
HOSTILE = '#panic("x") *bold* $x$ <label> @ref `raw` \\ // = - + "quoted" [box] {code} &amp;'


@pytest.fixture(autouse=True)
def _one_rail(renewing_rail: FakeRenewingRail) -> None:
    """It renews; most tests do not care."""


def paid(language: str, **fields: object) -> Payment:
    """Five dollars less one, and 99 cents of tax."""
    customer = make_customer(language=language, name="ООО «Пример» & Söhne", country="RU")
    return make_payment(make_order(customer=customer), **({"tax_minor": 99} | fields))


def taken_back(payment: Payment) -> list[Invoice]:
    """An invoice, its credit note of two dollars, and that note's reversal."""
    refund = refunds.request(payment.pk, reason="asked", amount_minor=2_00)
    refunds.record(refund.pk, RefundAnswer("re_1", "succeeded"))
    invoices.issue_due()
    refunds.record(refund.pk, RefundAnswer("re_1", "failed", "bounced"))
    invoices.issue_due()
    return list(Invoice.objects.filter(order=payment.order).order_by("pk"))


def text(invoice: Invoice) -> str:
    pages = PdfReader(BytesIO(invoice_pdf.render(invoice))).pages
    return "\n".join(page.extract_text() for page in pages)


def flat(written: str) -> str:
    """Without what a line break or a narrow space may have become."""
    return re.sub(r"\s", "", written)


def money(minor: int, language: str) -> str:
    with translation.override(language):
        return str(Money(minor, USD))


def said(word: str, language: str) -> str:
    with translation.override(language):
        return gettext(word)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_kind_holds_its_figures_names_and_words(language: str) -> None:
    payment = paid(language, discount_minor=1_00)

    invoice, note, reversal = (flat(text(one)) for one in taken_back(payment))

    tax_minor = Refund.objects.get().tax_minor
    for minor in (5_00, -1_00, 99, 4_99):
        assert flat(money(minor, language)) in invoice
    for written in (note, reversal):
        for minor in (2_00 - tax_minor, tax_minor, 2_00):
            assert flat(money(minor, language)) in written
    for word, where in [
        ("Invoice", invoice),
        ("Credit note", note),
        ("Reversal of a credit note", reversal),
        ("Discount", invoice),
        ("Total given back", note),
        ("Total, not given back after all", reversal),
    ]:
        assert flat(said(word, language)) in where
    assert all("ООО«Пример»&Söhne" in written for written in (invoice, note, reversal))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_correction_names_what_it_corrects(language: str) -> None:
    invoice, note, reversal = taken_back(paid(language))

    assert invoice.name in text(note)
    assert note.name in text(reversal)
    assert re.fullmatch(r"INV-\d{4}-000001", invoice.name)
    assert re.fullmatch(r"CN-\d{4}-000001", note.name)
    assert re.fullmatch(r"REV-\d{4}-000001", reversal.name)


@pytest.mark.parametrize(("language", "month"), [("en", "November"), ("ru", "ноября")])
def test_days_are_written_as_the_language_writes_them(language: str, month: str) -> None:
    payment = paid(language)
    invoices.issue_due()

    assert f"20 {month} 2026" in text(payment.invoice)


def test_a_document_keeps_the_language_it_was_issued_in() -> None:
    payment = paid("ru")
    invoices.issue_due()
    before = invoice_pdf.render(payment.invoice)

    customer = payment.invoice.customer
    customer.language = "en"
    customer.save(update_fields=["language"])
    with translation.override("en"):
        after = invoice_pdf.render(Invoice.objects.get(pk=payment.invoice.pk))

    assert after == before
    assert "ноября" in text(payment.invoice)


def test_the_time_that_was_bought_is_on_it(renewing_rail: FakeRenewingRail) -> None:
    subscription = subscribed(renewing_rail)
    invoices.issue_due()
    invoice = payment_of(subscription).invoice

    (line,) = invoice.lines
    assert set(line) >= {"from", "until"}
    written = text(invoice)
    assert "$29.99" in written
    assert len(re.findall(r"\d{1,2} [A-Z][a-z]+ \d{4} to \d{1,2} [A-Z][a-z]+ \d{4}", written)) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_looks_like_markup_is_text_wherever_it_stands(language: str) -> None:
    customer = make_customer(
        language=language, name=HOSTILE, address=f"{HOSTILE}\n{HOSTILE}", tax_id="#1"
    )
    payment = make_payment(make_order(customer=customer, product_name=HOSTILE[:120]))
    invoices.issue_due()

    assert flat(text(payment.invoice)).count(flat(HOSTILE)) >= 4


def test_long_names_wrap_and_push_no_figure_off_the_page() -> None:
    customer = make_customer(name="Gesellschaft" * 12, address=("Straße " * 70).strip())
    order = make_order(customer=customer, product_name="Ein sehr langer Name " * 5)
    payment = make_payment(order, tax_minor=99)
    invoices.issue_due()

    written = text(payment.invoice)

    assert flat("Gesellschaft" * 12) in flat(written)
    assert flat("Ein sehr langer Name " * 5) in flat(written)
    assert "$5.99" in written


def test_many_lines_go_on_over_several_pages_with_their_heading() -> None:
    payment = paid("en")
    invoice_drafts.draft_missing()
    lines = [{"name": f"Position {one}", "amount_minor": one} for one in range(1, 151)]
    Invoice.objects.filter(payment=payment).update(lines=lines)
    invoices.issue_due()

    pages = PdfReader(BytesIO(invoice_pdf.render(payment.invoice))).pages
    texts = [page.extract_text() for page in pages]

    assert len(pages) > 2
    assert all("Item" in one and f"1 / {len(pages)}" in texts[0] for one in texts[:-1])
    everything = "\n".join(texts)
    for one in range(1, 151):
        amount = re.escape(money(one, "en"))
        assert re.search(rf"Position {one}\s+{amount}\b", everything)
    assert "$5.99" in texts[-1]


def test_the_table_has_headings_and_kinds_in_the_customers_language(client: PersonClient) -> None:
    client.customer.language = "ru"
    client.customer.save(update_fields=["language"])
    make_payment(make_order(customer=client.customer), tax_minor=99)
    invoices.issue_due()

    heading, row = text_of(client.get("/billing/invoices.csv")).splitlines()

    assert heading.split(",")[0] == said("Number", "ru")
    assert row.split(",")[1] == said(str(InvoiceKind.INVOICE.label), "ru")
    assert row.endswith(",5.00,0.00,0.99,5.99,USD")


def test_a_folder_of_fonts_may_be_given(settings: object, tmp_path: object) -> None:
    settings.INVOICE_FONTS = str(tmp_path)  # type: ignore[attr-defined]
    payment = paid("en")
    invoices.issue_due()

    assert "$5.99" in text(payment.invoice)
