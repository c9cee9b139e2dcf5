"""The hosted invoice: what a person sees, pays and keeps."""

from __future__ import annotations

from tests.sandbox.person import Person
from tests.sandbox.server import Sandbox


def past_due(sandbox: Sandbox) -> tuple[Person, str]:
    """Somebody whose renewal was declined, and where the open invoice is."""
    person = Person(sandbox)
    sandbox.control(f"customers/{person.id}/card", card="4000000000000341")
    sandbox.control("clock", advance_seconds=32 * 24 * 3600)
    assert person.plan().status == "past_due"
    person.address = person.open()
    invoice = person.api.invoices.retrieve(person.plan().latest_invoice)
    return person, str(invoice.hosted_invoice_url).removeprefix(sandbox.url)


def test_an_open_invoice_is_paid_from_the_portal(sandbox: Sandbox) -> None:
    person, invoice = past_due(sandbox)
    page = person.look()
    assert "Past due" in page
    assert "pay-invoice" in page
    assert invoice in page
    refused = sandbox.http.post(invoice, data={"action": "pay-saved"})
    assert (refused.status_code, "was declined" in refused.text) == (402, True)

    paid = sandbox.http.post(
        invoice, data={"card_number": "5555555555554444", "expiry": "12/34", "cvc": "123"}
    )

    assert paid.status_code == 303
    assert "Paid on" in sandbox.http.get(invoice).text
    assert person.plan().status == "active"
    assert person.cards()[0] == "4444"
    assert "pay-invoice" not in person.look()


def test_the_bank_may_ask_before_an_invoice_is_paid(sandbox: Sandbox) -> None:
    person, invoice = past_due(sandbox)
    card = {"card_number": "4000002760003184", "expiry": "12/34", "cvc": "123"}

    challenge = sandbox.http.post(invoice, data=card).headers["location"]
    refused = sandbox.http.post(challenge, data={"outcome": "failed"})
    again = sandbox.http.post(invoice, data=card).headers["location"]
    sandbox.http.post(again, data={"outcome": "authorised"})

    assert refused.status_code == 402
    assert person.plan().status == "active"


def test_an_invoice_can_be_kept_as_pdf(sandbox: Sandbox) -> None:
    person = Person(sandbox)
    invoice = person.api.invoices.retrieve(person.plan().latest_invoice)

    answer = sandbox.http.get(str(invoice.invoice_pdf))

    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-1.4")
    assert str(invoice.number).encode() in answer.content
    assert b"$99.99" in answer.content
    assert sandbox.http.get(f"/i/acct_1SandboxPortal01/{person.id}/pdf").status_code == 404
