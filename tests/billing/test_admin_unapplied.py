"""Unapplied money in the admin: said whose it is, turned into credits, each once and logged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from django.urls import reverse

from billing import selectors
from billing.models import Payment, StaffAction
from billing.money import CREDIT, Money
from billing.services import payments, unapplied
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.staff import Staff, hidden, make_helper, sign_in, words
from tests.factories import make_charge, make_customer

pytestmark = pytest.mark.django_db

LIST = "/admin/billing/unappliedpayment/"


@pytest.fixture(autouse=True)
def _held() -> Iterator[None]:
    """Money that fits nothing waits for staff."""
    with only_rail(FakeRail()), override_settings(UNAPPLIED_POLICY="hold"):
        yield


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


def make_unapplied(**fields: Any) -> Payment:
    """$5 that name no order."""
    return payments.settle(make_charge(None, **fields))


def url(act: str, payment: Payment) -> str:
    return reverse(f"admin:billing_unappliedpayment_{act}", args=[payment.pk])


def test_the_list_holds_what_fits_no_order_and_why(staff: Staff) -> None:
    make_unapplied(external_id="pi_stray")

    text = words(staff.get(LIST))

    assert "pi_stray" in text
    assert "It names no order." in text


def test_what_went_back_leaves_the_list(staff: Staff) -> None:
    stray = make_unapplied(external_id="pi_stray")
    Payment.objects.filter(pk=stray.pk).update(refunding_minor=5_00)

    assert "pi_stray" not in words(staff.get(LIST))
    assert "pi_stray" in words(staff.get(LIST, {"left": "no"}))


def test_a_payer_is_named_by_address(staff: Staff) -> None:
    stray, customer = make_unapplied(), make_customer(email="payer@example.com")

    page = staff.shown(url("assign_payer", stray), customer="Payer@Example.com", reason="letter")
    assert "payer@example.com" in words(page)
    staff.post_final(url("assign_payer", stray), page)

    stray.refresh_from_db()
    assert stray.customer == customer
    assert unapplied.account(stray).balance_minor == 5_00
    action = StaffAction.objects.get()
    assert (action.act, action.reason, action.customer) == ("assign_payer", "letter", customer)


def test_an_address_of_two_customers_needs_the_id(staff: Staff) -> None:
    stray = make_unapplied()
    twins = [make_customer(email="twin@example.com") for _ in range(2)]

    page = staff.shown(url("assign_payer", stray), customer="twin@example.com", reason="letter")
    assert "Several customers have this address" in words(page)
    staff.act(url("assign_payer", stray), customer=str(twins[1].pk), reason="letter")

    stray.refresh_from_db()
    assert stray.customer == twins[1]


def test_nobody_is_refused_as_a_payer(staff: Staff) -> None:
    page = staff.shown(url("assign_payer", make_unapplied()), customer="who", reason="letter")

    assert "There is no customer with this address or id." in words(page)


def test_a_known_payer_is_not_replaced(staff: Staff) -> None:
    stray, other = make_unapplied(customer=make_customer()), make_customer()

    page = staff.shown(url("assign_payer", stray), customer=str(other.pk), reason="letter")

    assert "already has a payer" in words(page)
    assert not StaffAction.objects.exists()


def test_it_becomes_credits_at_the_catalogue_rate(staff: Staff) -> None:
    customer = make_customer()
    stray = make_unapplied(customer=customer, tax_minor=99, amount_minor=5_99)

    page = staff.get(url("apply_as_credits", stray))
    assert "Buys 2,500 credits for, without tax $5.00 booked as tax $0.99" in words(page)
    assert selectors.credit_balance(customer) == Money(0, CREDIT)
    staff.act(url("apply_as_credits", stray), reason="they asked for credits")

    stray.refresh_from_db()
    assert stray.order is not None
    assert selectors.credit_balance(customer) == Money(2_500_000_000, CREDIT)
    action = StaffAction.objects.get()
    assert (action.act, action.reason) == ("apply_unapplied", "they asked for credits")
    assert action.detail == {"amount": "$5.99", "order": str(stray.order.pk)}


def test_a_double_click_makes_credits_once(staff: Staff) -> None:
    customer = make_customer()
    stray = make_unapplied(customer=customer)
    page = staff.get(url("apply_as_credits", stray))

    answers = [staff.post_final(url("apply_as_credits", stray), page) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert staff.get(answers[1].headers["Location"]).status_code == 200
    assert selectors.credit_balance(customer) == Money(2_500_000_000, CREDIT)
    assert StaffAction.objects.count() == 1


def test_a_reason_is_needed(staff: Staff) -> None:
    stray = make_unapplied(customer=make_customer())
    page = staff.get(url("apply_as_credits", stray))

    answer = staff.post_final(url("apply_as_credits", stray), page, reason="")

    assert "This field is required." in words(answer)
    assert not StaffAction.objects.exists()


def test_money_without_a_payer_cannot_become_credits(staff: Staff) -> None:
    stray = make_unapplied()

    page = staff.get(url("apply_as_credits", stray), follow=True)

    assert "cannot become credits" in words(page)


def test_several_become_credits_at_once_and_the_rest_stays(staff: Staff) -> None:
    customer, other = make_customer(), make_customer()
    strays = [make_unapplied(customer=customer), make_unapplied(customer=other), make_unapplied()]
    selected = {"action": "apply_selected", "_selected_action": [str(one.pk) for one in strays]}

    page = staff.post(LIST, selected)
    assert "What will happen" in words(page)
    assert "cannot become credits" in words(page)
    assert not StaffAction.objects.exists()
    answer = staff.post(LIST, {**hidden(page), **selected, "reason": "spring clean"}, follow=True)

    assert "2 done, 1 not possible." in words(answer)
    assert selectors.credit_balance(customer) == Money(2_500_000_000, CREDIT)
    assert selectors.credit_balance(other) == Money(2_500_000_000, CREDIT)
    assert StaffAction.objects.filter(reason="spring clean").count() == 2


def test_looking_is_not_applying() -> None:
    stray = make_unapplied(customer=make_customer())
    helper = sign_in(make_helper("refund_payment", "adjust_credits", "handle_event_again"))

    for act in ("assign_payer", "apply_as_credits"):
        assert helper.get(url(act, stray)).status_code == 403
        assert helper.post(url(act, stray), {"reason": "x"}).status_code == 403
    helper.post(LIST, {"action": "apply_selected", "_selected_action": [str(stray.pk)]})
    stray.refresh_from_db()
    assert stray.order is None
    assert not StaffAction.objects.exists()
