"""The outbox in the admin: staff see what was told to whom, and have it sent again."""

from __future__ import annotations

import pytest
from django.core import mail
from django.urls import reverse

from billing.models import Email, EmailKind, EmailState, StaffAction
from billing.services import emails, outbox
from tests.billing.staff import Staff, hidden, make_helper, sign_in, words
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

LIST = "/admin/billing/email/"


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


@pytest.fixture
def given_up() -> Email:
    """One that could not be sent."""
    customer = make_customer(email="ada@example.com")
    told = {"amount_minor": "5000000", "asset": "CREDIT"}
    emails.queue(kind=EmailKind.STAFF_ADJUSTMENT, customer=customer, key="staff:1", context=told)
    Email.objects.update(
        state=EmailState.FAILED, next_try_at=None, attempts=16, last_error="nobody listens"
    )
    return Email.objects.get()


def url(email: Email) -> str:
    return reverse("admin:billing_email_send_again", args=[email.pk])


def test_what_was_given_up_is_shown_with_its_error(staff: Staff, given_up: Email) -> None:
    page = reverse("admin:billing_email_change", args=[given_up.pk])

    assert "staff:1" in words(staff.get(f"{LIST}?state__exact=failed"))
    assert "nobody listens" in words(staff.get(page))
    assert "1 E-mails given up" in words(staff.get("/admin/"))


def test_it_is_sent_again_for_a_reason(staff: Staff, given_up: Email) -> None:
    staff.act(url(given_up), reason="the mail server is back")

    outbox.send(given_up.pk)
    given_up.refresh_from_db()
    action = StaffAction.objects.get()
    assert (given_up.state, mail.outbox[0].to) == (EmailState.SENT, ["ada@example.com"])
    assert (action.act, action.subject) == ("send_again", f"email:{given_up.pk}")


def test_a_double_click_sends_it_once(staff: Staff, given_up: Email) -> None:
    page = staff.get(url(given_up))
    staff.post_final(url(given_up), page)
    outbox.send(given_up.pk)

    staff.post_final(url(given_up), page)

    outbox.send(given_up.pk)
    assert len(mail.outbox) == 1


def test_several_are_sent_again_at_once(staff: Staff, given_up: Email) -> None:
    selected = {"action": "send_selected", "_selected_action": [str(given_up.pk)]}
    page = staff.post(LIST, selected)

    staff.post(LIST, {**hidden(page), **selected, "reason": "the mail server is back"})

    assert outbox.due_ids() == [given_up.pk]


def test_nobody_edits_one(staff: Staff, given_up: Email) -> None:
    page = reverse("admin:billing_email_change", args=[given_up.pk])

    staff.post(page, {"to_address": "eve@example.com"})

    given_up.refresh_from_db()
    assert given_up.to_address == ""


def test_it_takes_the_right_to(given_up: Email) -> None:
    helper = sign_in(make_helper("refund_payment", "adjust_credits"))

    assert helper.get(url(given_up)).status_code == 403
    assert "staff:1" in words(helper.get(LIST))
