"""E-mails: written with what they tell of, sent once per cause, tried again, given up visibly."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import DatabaseError, connection, transaction

from accounts.models import Customer
from billing.models import Email, EmailKind, EmailState
from billing.services import emails, outbox, payments
from common import clock, notifiers
from common.clock import FrozenClock
from common.notifiers import Letter
from tests.factories import NOW, make_charge, make_customer, make_order, make_payment

pytestmark = pytest.mark.django_db

AT_BREAKFAST = NOW


class Broken(EmailBackend):
    """A mail server that fails as told."""

    error: Exception = ConnectionRefusedError("nobody listens")

    def send_messages(self, messages: Any) -> int:
        raise self.error


@pytest.fixture(autouse=True)
def now() -> Iterator[FrozenClock]:
    with clock.frozen(AT_BREAKFAST) as frozen:
        yield frozen


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> type[Broken]:
    """The mail server is down."""
    monkeypatch.setattr(settings, "EMAIL_BACKEND", f"{__name__}.Broken")
    monkeypatch.setattr("django.core.mail.get_connection", lambda *_, **__: Broken())
    monkeypatch.setattr(Broken, "error", ConnectionRefusedError("nobody listens"))
    return Broken


def queued(customer: Customer | None = None, **told: Any) -> Email:
    """A staff adjustment's e-mail, which needs nothing else to be there."""
    asked: dict[str, Any] = {
        "kind": EmailKind.STAFF_ADJUSTMENT,
        "customer": customer or make_customer(),
        "key": "cause",
        "context": {"amount_minor": "5000000", "asset": "CREDIT"},
    } | told
    emails.queue(**asked)
    return Email.objects.get(key=asked["key"])


def sent(email: Email) -> Email:
    outbox.send(email.pk)
    email.refresh_from_db()
    return email


class TestQueueing:
    def test_the_same_cause_makes_one_email(self) -> None:
        customer = make_customer()

        first, second = (
            emails.queue(kind=EmailKind.RECEIPT, customer=customer, key="receipt:1")
            for _ in range(2)
        )

        assert (first, second) == (True, False)
        assert Email.objects.filter(key="receipt:1").count() == 1

    def test_what_is_rolled_back_tells_nobody(self) -> None:
        order = make_order()

        with transaction.atomic():
            payments.settle(make_charge(order))
            assert Email.objects.filter(customer=order.customer).exists()
            transaction.set_rollback(True)

        assert not Email.objects.filter(customer=order.customer).exists()

    def test_it_refuses_a_kind_that_is_none(self) -> None:
        with pytest.raises(ValueError, match="nonsense"):
            emails.queue(kind="nonsense", customer=make_customer(), key="k")  # type: ignore[arg-type]

    def test_apps_below_ask_through_the_registry(self) -> None:
        customer = make_customer()

        notifiers.write(
            Letter(
                kind="invitation",
                customer=customer,
                key="invitation:1",
                context={"team": "Ada's", "url": "/settings/invitations/x"},
                to="bob@example.com",
                language="ru",
            )
        )

        email = Email.objects.get(key="invitation:1")
        assert (email.kind, email.to_address, email.language) == (
            EmailKind.INVITATION,
            "bob@example.com",
            "ru",
        )

    def test_a_notifier_that_fails_does_not_stop_money(
        self, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fails(what: str, _subject: Any) -> None:
            if what == "payment_settled":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT nothing FROM nowhere")

        notifiers.register("failing", fails)
        request.addfinalizer(lambda: notifiers.forget("failing"))

        payment = make_payment()

        payment.refresh_from_db()
        assert payment.order is not None
        assert payment.order.delivered_at is not None
        assert Email.objects.filter(key=f"receipt:{payment.pk}").exists()
        assert [record.exc_info[0] for record in caplog.records if record.exc_info]
        assert issubclass(caplog.records[-1].exc_info[0], DatabaseError)  # type: ignore[index,arg-type]


class TestSending:
    def test_it_goes_to_the_customer_once(self) -> None:
        customer = make_customer(email="ada@example.com", name="Ada")
        email = queued(customer)

        sent(email)
        sent(email)

        (message,) = mail.outbox
        assert message.to == ["ada@example.com"]
        assert "5 credits" in message.subject
        assert "5 credits" in str(message.body)
        assert message.extra_headers["Message-ID"] == f"<{email.pk}@{outbox_host()}>"
        email.refresh_from_db()
        assert (email.state, email.sent_to, email.sent_at, email.next_try_at) == (
            EmailState.SENT,
            "ada@example.com",
            AT_BREAKFAST,
            None,
        )

    def test_the_address_is_that_of_the_moment_it_is_sent(self) -> None:
        customer = make_customer(email="old@example.com")
        email = queued(customer)
        Customer.objects.filter(pk=customer.pk).update(email="new@example.com")

        sent(email)

        assert mail.outbox[0].to == ["new@example.com"]

    def test_it_speaks_the_customers_language(self) -> None:
        from django.utils import translation

        email = queued(make_customer(language="ru"))

        with translation.override("en"):
            sent(email)
            assert translation.get_language() == "en"

        html = html_of(mail.outbox[0])
        assert '<html lang="ru">' in html

    def test_two_workers_do_not_take_the_same(self) -> None:
        email = queued()
        taken = outbox._claim(email.pk)

        other = outbox._claim(email.pk)

        assert taken is not None
        assert other is None

    def test_a_dead_workers_email_goes_out_after_its_lease(self, now: FrozenClock) -> None:
        email = queued()
        assert outbox._claim(email.pk)

        now.move(outbox.LEASE - timedelta(seconds=1))
        before = outbox.due_ids()
        now.move(timedelta(seconds=1))

        assert email.pk not in before
        assert email.pk in outbox.due_ids()
        assert sent(email).state == EmailState.SENT
        assert len(mail.outbox) == 1

    @pytest.mark.parametrize(
        "name",
        ["Eve\r\nBcc: all@example.com", "<script>alert(1)</script>", "x" * 150, "a\u202eb\x00c"],
    )
    def test_no_name_breaks_it(self, name: str) -> None:
        customer = make_customer()
        customer.name = name.replace("\x00", "")
        customer.save()

        assert sent(queued(customer)).state == EmailState.SENT

        (message,) = mail.outbox
        assert message.recipients() == [customer.email]
        assert "Bcc" not in message.message()
        html = html_of(message)
        assert "<script>" not in html
        assert "\u202e" not in html + str(message.body)


class TestMuting:
    def test_what_is_muted_is_dropped(self) -> None:
        customer = make_customer(muted_emails=["credits_expire_soon"])
        email = queued(customer, kind=EmailKind.CREDITS_EXPIRE_SOON)

        sent(email)

        assert (email.state, mail.outbox) == (EmailState.DROPPED, [])
        assert "Muted" in email.last_error

    def test_what_must_be_sent_cannot_be_muted(self) -> None:
        customer = make_customer(muted_emails=list(EmailKind.values))

        assert sent(queued(customer)).state == EmailState.SENT

    def test_the_choices_say_what_can_be_muted(self) -> None:
        can = {choice.kind: choice.can_be_muted for choice in emails.choices()}

        assert can["renewal_soon"]
        assert can["invoice"]
        assert not can["receipt"]
        assert not can["payment_failed"]
        assert not can["api_key_created"]
        assert "invitation" not in can
        assert all(choice.label for choice in emails.choices())


class TestFailing:
    def test_a_dead_mail_server_is_tried_again_rarer_each_time(
        self, broken: type[Broken], now: FrozenClock
    ) -> None:
        email = queued()
        waits = []
        for _ in range(4):
            sent(email)
            assert email.next_try_at is not None
            waits.append(email.next_try_at - now.at)
            now.move(waits[-1])

        assert waits == [timedelta(minutes=minutes) for minutes in (2, 4, 8, 16)]
        assert email.state == EmailState.WAITING
        assert "nobody listens" in email.last_error

    def test_it_goes_out_when_the_server_is_back(
        self, broken: type[Broken], now: FrozenClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        email = sent(queued())
        monkeypatch.undo()
        now.move(timedelta(minutes=2))

        assert outbox.due_ids() == [email.pk]
        sent(email)

        assert (email.state, email.last_error, len(mail.outbox)) == (EmailState.SENT, "", 1)

    def test_it_is_given_up_in_the_end_and_staff_can_send_it_again(
        self, broken: type[Broken], now: FrozenClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        email = queued()
        for _ in range(outbox.MAX_ATTEMPTS):
            sent(email)
            now.move(outbox.MAX_BACK_OFF)

        assert (email.state, outbox.due_ids()) == (EmailState.FAILED, [])
        assert "nobody listens" in email.last_error

        monkeypatch.undo()
        emails.send_again(email.pk)
        assert sent(email).state == EmailState.SENT
        assert len(mail.outbox) == 1

    def test_an_address_that_is_refused_for_good_is_not_tried_again(
        self, broken: type[Broken]
    ) -> None:
        broken.error = smtplib.SMTPRecipientsRefused({"x@example.com": (550, b"no such user")})

        assert sent(queued()).state == EmailState.FAILED

    def test_a_mailbox_that_is_full_today_is_tried_again(self, broken: type[Broken]) -> None:
        broken.error = smtplib.SMTPRecipientsRefused({"x@example.com": (452, b"full")})

        assert sent(queued()).state == EmailState.WAITING

    def test_one_that_cannot_be_written_does_not_hold_up_the_rest(self) -> None:
        bad = queued(key="bad", context={"asset": "NONSENSE", "amount_minor": "1"})
        good = queued(key="good")

        for pk in outbox.due_ids():
            outbox.send(pk)

        bad.refresh_from_db()
        good.refresh_from_db()
        assert (bad.state, good.state) == (EmailState.WAITING, EmailState.SENT)
        assert "NONSENSE" in bad.last_error


class TestForgetting:
    def test_a_customer_who_leaves_leaves_no_address(self) -> None:
        customer = make_customer()
        before, waiting = sent(queued(customer, key="a")), queued(customer, key="b")

        emails.forget(customer)

        before.refresh_from_db()
        waiting.refresh_from_db()
        assert (before.sent_to, before.subject, before.context) == ("", "", {})
        assert waiting.state == EmailState.DROPPED


def html_of(message: Any) -> str:
    ((content, _mime_type),) = message.alternatives
    return str(content)


def outbox_host() -> str:
    return str(settings.PUBLIC_URL).partition("://")[2].partition(":")[0]
