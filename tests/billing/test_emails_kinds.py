"""What each kind of e-mail tells, and that each is sent once however often its cause repeats."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.test import override_settings

from accounts.services import api_keys
from billing import tasks
from billing.models import (
    Email,
    EmailKind,
    EmailState,
    Refund,
)
from billing.money import CREDIT, Money
from billing.services import (
    adjustments,
    disputes,
    email_reminders,
    emails,
    invoices,
    letters,
    outbox,
    payments,
    refunds,
    unapplied,
)
from billing.services.rails import RefundAnswer
from billing.services.staff import Note
from common import notifiers
from common.clock import FrozenClock
from common.notifiers import Letter
from tests.accounts.factories import customer_of, make_person, make_staff
from tests.billing.mails import deliver, mail_of, only, said, states
from tests.billing.prepaid import ONE, give
from tests.factories import NOW, make_charge, make_claim, make_customer, make_order, make_payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now", "rail")]

DAY = timedelta(days=1)


class TestReceipts:
    def test_a_payment_that_settled_is_told_once(self, now: FrozenClock) -> None:
        charge = make_charge(make_order(), tax_minor=99)
        payment = payments.settle(charge)
        payments.settle(charge)
        invoices.issue_due()

        message = only()

        assert message.to == [payment.customer.email]  # type: ignore[union-attr]
        said(message, "$5.99", "Small credit pack", "2,500 credits", "INV-2026-000001")
        said(message, f"/billing/payments/{payment.pk}/receipt")

    def test_it_brings_the_invoice_so_that_one_email_tells_of_one_sale(self) -> None:
        make_payment()
        invoices.issue_due()

        (file,) = only().attachments

        assert (file[0], file[2]) == ("INV-2026-000001.pdf", "application/pdf")
        assert bytes(file[1]).startswith(b"%PDF")
        assert states(EmailKind.RECEIPT) == [EmailState.SENT]
        assert states(EmailKind.INVOICE) == [EmailState.DROPPED]

    def test_it_waits_a_moment_for_its_invoice(self, now: FrozenClock) -> None:
        payment = make_payment()

        assert deliver() == []
        invoices.issue_due()  # rings for it, without any wait

        assert len(only().attachments) == 1
        assert Email.objects.get(key=f"receipt:{payment.pk}").attempts == 2

    def test_it_does_not_wait_for_ever_and_the_invoice_follows(self, now: FrozenClock) -> None:
        make_payment()
        for _ in range(5):
            assert deliver() == []
            now.move(outbox.IN_A_MOMENT)
        assert not only().attachments

        invoices.issue_due()

        message = only()
        assert "INV-2026-000001" in message.subject
        assert len(message.attachments) == 1

    @override_settings(UNAPPLIED_POLICY="hold")
    def test_money_that_fits_nothing_is_told_to_its_payer(self) -> None:
        payments.settle(make_charge(None, customer=make_customer()))

        said(only(), "$5.00", "we keep it for you")

    @override_settings(UNAPPLIED_POLICY="hold")
    def test_an_unknown_payer_is_told_once_staff_knows_who_it_was(self) -> None:
        payment = payments.settle(make_charge(None))
        assert deliver() == []

        unapplied.assign(payment.pk, make_customer(email="found@example.com"))

        assert only().to == ["found@example.com"]

    def test_an_auto_top_up_is_told_once_and_with_its_invoice(self) -> None:
        payment = make_payment()
        emails.queue(
            kind=EmailKind.AUTO_TOP_UP_CHARGED,
            customer=payment.order.customer,  # type: ignore[union-attr]
            key=f"auto_top_up_charged:{payment.pk}",
            context={"payment": str(payment.pk)},
        )
        invoices.issue_due()

        message = only()

        said(message, "$5.00", "saved card")
        assert len(message.attachments) == 1
        assert states(EmailKind.RECEIPT) == [EmailState.DROPPED]


class TestMoneyBack:
    def test_a_refund_is_told_once_it_is_made(self) -> None:
        refund = self.refund()
        refunds.record(refund.pk, RefundAnswer(refund.external_id or "", refund.state))

        refunded = self.of(EmailKind.REFUND_MADE)

        said(refunded, "$2.00", "Small credit pack")

    def test_one_that_failed_after_all_is_not(self) -> None:
        refund = self.refund()
        refunds.record(refund.pk, RefundAnswer(refund.external_id or "", "failed", "no account"))

        assert [m for m in deliver() if "refund" in m.subject] == []
        assert states(EmailKind.REFUND_MADE) == [EmailState.DROPPED]

    def test_a_credit_note_comes_as_a_file(self) -> None:
        self.refund()
        invoices.issue_due()

        note = self.of(EmailKind.INVOICE)

        assert [file[0] for file in note.attachments] == ["CN-2026-000001.pdf"]
        said(note, "CN-2026-000001", "$2.00")

    def test_a_dispute_is_told_while_it_is_open(self) -> None:
        payment = make_payment()
        for _ in range(2):
            disputes.record(payment.pk, make_claim(external_id="du_1"))
        said(self.of(EmailKind.DISPUTE_OPENED), "$5.00", "disputed")

    def refund(self) -> Refund:
        payment = make_payment()
        invoices.issue_due()
        deliver()
        refund = refunds.request(payment.pk, reason="asked", amount_minor=2_00)
        refunds.send(refund.pk)
        refund.refresh_from_db()
        return refund

    def of(self, kind: EmailKind) -> EmailMultiAlternatives:
        deliver()
        subject = Email.objects.get(kind=kind, state=EmailState.SENT).subject
        (message,) = (one for one in mail.outbox if one.subject == subject)
        assert isinstance(message, EmailMultiAlternatives)
        return message


class TestCredits:
    def test_those_that_expire_are_announced_in_one_email_a_day(self, now: FrozenClock) -> None:
        customer = make_customer()
        give(customer, 100 * ONE, expires_at=NOW + 10 * DAY)
        give(customer, 50 * ONE, expires_at=NOW + 10 * DAY + timedelta(hours=2))
        give(customer, 70 * ONE)

        told: list[int] = []
        for days in range(10):
            now.at = NOW + days * DAY
            tasks.write_reminders()
            tasks.write_reminders()
            told += [10 - days] * len(deliver())

        assert told == [7, 1]
        said(mail_of(EmailKind.CREDITS_EXPIRE_SOON), "150 credits", "30 Nov 2026")

    def test_those_that_were_a_gift_are_not(self, now: FrozenClock) -> None:
        give(make_customer(), 100 * ONE, expires_at=NOW + 5 * DAY, promotional=True)

        email_reminders.write_due()

        assert deliver() == []

    def test_what_staff_gave_or_took_is_told_without_their_reason(self) -> None:
        customer = make_customer()
        note = Note(make_staff(), "said sorry to a difficult person", "n1")
        for _ in range(2):
            adjustments.grant(note, customer, Money(7 * ONE, CREDIT), promotional=False)
        message = only()
        said(message, "7 credits", "added")
        assert "difficult" not in str(message.body)

        taken = Note(note.staff, "too much", "n2")
        adjustments.take(taken, customer, Money(2 * ONE, CREDIT), may_owe=False)
        said(only(), "2 credits", "taken")

    def test_the_spend_cap_is_told(self) -> None:
        emails.queue(
            kind=EmailKind.SPEND_CAP_REACHED,
            customer=make_customer(),
            key="cap",
            context={"cap_minor": 10 * ONE, "until": (NOW + 5 * DAY).isoformat()},
        )

        said(only(), "10 credits", "25 Nov 2026", "/billing/spending")


class TestPeople:
    def test_a_new_key_is_told_without_its_secret(self) -> None:
        user = make_person("ada@example.com", name="Ada")
        made = api_keys.create(
            customer_of(user), created_by=user, name="CI", scope_names=["credits:read"]
        )

        message = only()

        assert message.to == ["ada@example.com"]
        said(message, "CI", made.api_key.prefix, "credits:read", "Made by")
        assert made.secret not in str(message.message())

    def test_an_invitation_hands_over_its_link_and_keeps_it_nowhere(self) -> None:
        told = Letter(
            kind="invitation",
            customer=make_customer(),
            key="invitation:1",
            context={"team": "evil.example.com", "inviter": "Eve", "url": "/settings/i/secret"},
            to="bob@example.com",
        )
        for _ in range(2):
            notifiers.write(told)

        message = only()

        assert message.to == ["bob@example.com"]
        said(message, "/settings/i/secret")
        assert "evil.example.com" not in str(message.body)  # no mail program makes it a link
        assert "List-Unsubscribe" not in message.extra_headers
        email = Email.objects.get()
        assert "secret" not in str(email.context)
        emails.send_again(email.pk)
        assert deliver() == []

    def test_what_may_be_muted_says_where(self) -> None:
        emails.queue(
            kind=EmailKind.SPEND_CAP_REACHED,
            customer=make_customer(),
            key="cap",
            context={"cap_minor": ONE},
        )

        message = only()

        said(message, "/settings/notifications")
        assert "/settings/notifications" in message.extra_headers["List-Unsubscribe"]


def test_somebody_writes_each_kind() -> None:
    assert letters.written_kinds() == set(EmailKind.values)
