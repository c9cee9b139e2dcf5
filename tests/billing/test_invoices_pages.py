"""Invoices on the customer's page and over the API."""

from __future__ import annotations

import pytest

from billing.models import Invoice
from billing.services import invoice_drafts, invoices, refunds
from billing.services.rails import RefundAnswer
from tests.accounts.factories import PersonClient
from tests.billing.callers import text_of
from tests.factories import make_order, make_payment

pytestmark = pytest.mark.django_db


def _paid(client: PersonClient, count: int = 1) -> list[Invoice]:
    for _ in range(count):
        make_payment(make_order(customer=client.customer), tax_minor=99)
    invoices.issue_due()
    return list(Invoice.objects.filter(customer=client.customer).order_by("pk"))


def test_without_payments_the_page_says_what_will_be_there(client: PersonClient) -> None:
    html = text_of(client.get("/billing/invoices"))

    assert "Each payment gets an invoice" in html
    assert "Download as CSV" not in html


def test_each_invoice_is_listed_with_its_file(client: PersonClient) -> None:
    (invoice,) = _paid(client)

    html = text_of(client.get("/billing/invoices"))
    response = client.get(f"/billing/invoices/{invoice.pk}/pdf")

    assert invoice.name in html
    assert str(invoice.total) in html
    assert response["Content-Type"] == "application/pdf"
    assert f'filename="{invoice.name}.pdf"' in response["Content-Disposition"]
    assert invoice.name in text_of(response)


def test_a_draft_is_not_shown_before_it_has_its_number(client: PersonClient) -> None:
    make_payment(make_order(customer=client.customer))
    invoice_drafts.draft_missing()
    draft = Invoice.objects.get()

    assert "Each payment gets an invoice" in text_of(client.get("/billing/invoices"))
    assert client.get(f"/billing/invoices/{draft.pk}/pdf").status_code == 404


def test_more_invoices_than_a_page_holds_are_on_the_next(client: PersonClient) -> None:
    made = _paid(client, 26)

    first = text_of(client.get("/billing/invoices"))
    listed = client.get("/api/billing/invoices?limit=25").json()
    rest = client.get(f"/api/billing/invoices?cursor={listed['next_cursor']}").json()

    assert made[0].name not in first
    assert 'rel="next"' in first
    assert [one["name"] for one in listed["results"]] == [one.name for one in made[:0:-1]]
    assert [one["name"] for one in rest["results"]] == [made[0].name]
    assert rest["next_cursor"] is None


def test_the_table_has_a_line_for_each(client: PersonClient) -> None:
    made = _paid(client, 3)

    lines = text_of(client.get("/billing/invoices.csv")).splitlines()

    assert len(lines) == 4
    assert lines[1].startswith(f"{made[0].name},Invoice,")
    assert lines[1].endswith(",5.00,0.00,0.99,5.99,USD")


def test_who_buys_is_named_as_their_settings_said_when_it_was_issued(
    client: PersonClient,
) -> None:
    client.customer.name = "Example GmbH"
    client.customer.address = "1 Example Street\nBerlin"
    client.customer.tax_id = "DE123456789"
    client.customer.save(update_fields=["name", "address", "tax_id"])
    (invoice,) = _paid(client)
    client.customer.name = "Another name"
    client.customer.save(update_fields=["name"])

    text = text_of(client.get(f"/billing/invoices/{invoice.pk}/pdf"))

    assert "Example GmbH" in text
    assert "DE123456789" in text
    assert "Another name" not in text


def test_a_credit_note_and_its_reversal_say_which_way_the_money_went(client: PersonClient) -> None:
    (invoice,) = _paid(client)
    assert invoice.payment is not None
    refund = refunds.request(invoice.payment.pk, reason="asked", amount_minor=2_00)
    refunds.record(refund.pk, RefundAnswer("re_1", "succeeded"))
    invoices.issue_due()
    refunds.record(refund.pk, RefundAnswer("re_1", "failed", "bounced"))
    invoices.issue_due()

    html = " ".join(text_of(client.get("/billing/invoices")).split())
    listed = client.get("/api/billing/invoices").json()["results"]

    note, reversal = Invoice.objects.filter(refund=refund).order_by("pk")
    assert f"credit note to {invoice.name}" in html
    assert f"takes back {note.name}" in html
    assert html.count("−$2.00") == 1
    assert [one["kind"] for one in listed] == ["reversal", "credit_note", "invoice"]
    assert listed[0]["corrects"] == str(note.pk)
    assert client.get(f"/billing/invoices/{reversal.pk}/pdf").status_code == 200
