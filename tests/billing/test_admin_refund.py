"""Refunds from the admin: shown in amounts first, done once, logged with their reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import reverse

from billing import ledger, selectors
from billing.models import Code, Hold, Payment, Refund, RefundState, StaffAction, Transfer
from billing.money import CREDIT, Money
from billing.services import payments, refunds
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.staff import Staff, hidden, make_helper, sign_in, words
from tests.factories import NOW, make_charge, make_order, make_payment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


@pytest.fixture
def payment() -> Payment:
    """A $5 pack with $0.99 tax, of whose 2,500 credits 1,000 are spent."""
    paid = make_payment(tax_minor=99)
    assert paid.customer is not None
    ledger.spend(
        ledger.wallet(paid.customer, CREDIT),
        1_000_000_000,
        code=Code.USAGE,
        key=f"spend:{paid.pk}",
        occurred_at=NOW,
    )
    return paid


def refund_url(payment: Payment) -> str:
    return reverse("admin:billing_payment_refund", args=[payment.pk])


def test_the_unspent_share_is_shown_to_the_cent_before_it_goes_back(
    staff: Staff, payment: Payment
) -> None:
    page = staff.shown(refund_url(payment), share="unspent", reason="asked by e-mail")

    text = words(page)
    assert "Back to the payer (Fake card) $3.59" in text
    assert "of it price $3.00 of it tax $0.59" in text
    assert "Taken back from the wallet 1,500 credits" in text
    assert "owed from now on 0 credits" in text


def test_the_form_says_what_is_unspent(staff: Staff, payment: Payment) -> None:
    assert "Left to refund $5.99 Unspent of that $3.59" in words(staff.get(refund_url(payment)))


def test_showing_what_would_happen_changes_nothing(staff: Staff, payment: Payment) -> None:
    before = Transfer.objects.count()

    staff.shown(refund_url(payment), share="all", reason="asked by e-mail")

    payment.refresh_from_db()
    assert (payment.refunding_minor, payment.refunded_minor) == (0, 0)
    assert Transfer.objects.count() == before
    assert not Refund.objects.exists()
    assert not Hold.objects.exists()
    assert not StaffAction.objects.exists()


def test_the_unspent_share_goes_back(staff: Staff, payment: Payment) -> None:
    answer = staff.act(refund_url(payment), share="unspent", reason="asked by e-mail")

    assert answer.status_code == 302
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.reason, refund.requested_by) == (
        3_59,
        "asked by e-mail",
        staff.user,
    )
    refunds.send(refund.pk)
    refund.refresh_from_db()
    assert refund.state == RefundState.SUCCEEDED


def test_the_act_is_logged_with_its_reason(staff: Staff, payment: Payment) -> None:
    staff.act(refund_url(payment), share="unspent", reason="asked by e-mail")

    action = StaffAction.objects.get()
    assert (action.staff, action.act, action.subject) == (
        staff.user,
        "refund",
        f"payment:{payment.pk}",
    )
    assert (action.customer, action.reason) == (payment.customer, "asked by e-mail")
    assert action.detail == {
        "amount": "$3.59",
        "forced": False,
        "refund": str(Refund.objects.get().pk),
    }


def test_a_part_goes_back(staff: Staff, payment: Payment) -> None:
    staff.act(refund_url(payment), share="part", amount="1.20", reason="a day of trouble")

    assert Refund.objects.get().amount_minor == 1_20


def test_all_of_it_shows_the_debt_and_makes_it(staff: Staff, payment: Payment) -> None:
    assert payment.customer is not None
    page = staff.shown(refund_url(payment), share="all", reason="court order")
    assert "Spent, and owed from now on 1,000 credits" in words(page)

    staff.post_final(refund_url(payment), page)
    refunds.send(Refund.objects.get().pk)

    payment.refresh_from_db()
    assert payment.refunded_minor == 5_99
    assert selectors.balance(payment.customer).debt == Money(1_000_000_000, CREDIT)


def test_what_other_purchases_pay_at_once_is_shown_apart(staff: Staff, payment: Payment) -> None:
    make_payment(make_order(customer=payment.customer))

    page = staff.shown(refund_url(payment), share="all", reason="court order")

    assert "Spent, and paid from other purchases 1,000 credits" in words(page)
    assert "Spent, and owed from now on 0 credits" in words(page)


def test_a_double_click_refunds_once(staff: Staff, payment: Payment) -> None:
    page = staff.shown(refund_url(payment), share="part", amount="1.00", reason="twice")

    first = staff.post_final(refund_url(payment), page)
    second = staff.post_final(refund_url(payment), page)

    assert (first.status_code, second.status_code) == (302, 302)
    assert Refund.objects.count() == 1
    assert StaffAction.objects.count() == 1


def test_a_used_form_sent_again_with_another_amount_is_not_taken_for_the_first(
    staff: Staff, payment: Payment
) -> None:
    page = staff.shown(refund_url(payment), share="part", amount="1.00", reason="back button")
    staff.post_final(refund_url(payment), page)

    answer = staff.post_final(refund_url(payment), page, amount="2.00")

    assert "was sent before, with other contents" in words(answer)
    assert hidden(answer)["key"] != hidden(page)["key"]
    assert Refund.objects.count() == 1


def test_what_changed_meanwhile_is_shown_again_before_it_happens(
    staff: Staff, payment: Payment
) -> None:
    assert payment.customer is not None
    page = staff.shown(refund_url(payment), share="all", reason="court order")
    ledger.spend(
        ledger.wallet(payment.customer, CREDIT),
        500_000_000,
        code=Code.USAGE,
        key="meanwhile",
        occurred_at=NOW,
    )

    answer = staff.post_final(refund_url(payment), page)

    assert "Something changed meanwhile" in words(answer)
    assert "owed from now on 1,500 credits" in words(answer)
    assert not Refund.objects.exists()
    assert staff.post_final(refund_url(payment), answer).status_code == 302
    assert Refund.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"share": "part", "amount": "6.00"}, "At most $5.99"),
        ({"share": "part", "amount": "5.00"}, "spent already"),
        ({"share": "part", "amount": "1.005"}, "no more than 2 decimal places"),
        ({"share": "part", "amount": "-1"}, "greater than or equal to 0.01"),
        ({"share": "part", "amount": ""}, "Say how much."),
        ({"share": "part", "amount": "much"}, "Enter a number."),
        ({"share": "everything"}, "Select a valid choice"),
        ({"share": "unspent", "reason": " "}, "This field is required."),
    ],
)
def test_it_refuses(staff: Staff, payment: Payment, fields: dict[str, str], sentence: str) -> None:
    answer = staff.shown(refund_url(payment), **{"reason": "asked by e-mail"} | fields)

    assert answer.status_code == 200
    assert sentence in words(answer)
    assert not Refund.objects.exists()


def test_a_share_that_is_spent_goes_back_only_if_forced(staff: Staff, payment: Payment) -> None:
    staff.act(refund_url(payment), share="part", amount="5.00", forced="on", reason="goodwill")

    assert Refund.objects.get().amount_minor == 5_00


def test_nothing_unspent_is_said_so(staff: Staff, payment: Payment) -> None:
    staff.act(refund_url(payment), share="unspent", reason="first")

    answer = staff.shown(refund_url(payment), share="unspent", reason="second")

    assert "None of it is unspent" in words(answer)


def test_a_yes_without_having_seen_is_shown_first(staff: Staff, payment: Payment) -> None:
    page = staff.get(refund_url(payment))

    answer = staff.post(
        refund_url(payment), {**hidden(page), "share": "all", "reason": "x", "confirm": "yes"}
    )

    assert "What will happen" in words(answer)
    assert not Refund.objects.exists()


def test_the_form_can_be_changed_after_it_was_shown(staff: Staff, payment: Payment) -> None:
    page = staff.shown(refund_url(payment), share="part", amount="1.00", reason="asked")

    answer = staff.post(refund_url(payment), {**hidden(page), "edit": "yes"})

    assert 'value="1.00"' in answer.text
    assert "What will happen" not in words(answer)


def test_unapplied_money_of_an_unknown_payer_can_go_back(staff: Staff) -> None:
    paid = payments.settle(make_charge(None))
    url = reverse("admin:billing_unappliedpayment_refund", args=[paid.pk])

    page = staff.shown(url, share="all", reason="nobody knows whose")
    assert "Taken from the unapplied money $5.00" in words(page)
    staff.post_final(url, page)
    refunds.send(Refund.objects.get().pk)

    paid.refresh_from_db()
    assert paid.refunded_minor == 5_00
    assert StaffAction.objects.get().customer is None


def test_a_payment_that_went_back_whole_offers_no_refund(staff: Staff, payment: Payment) -> None:
    page_url = reverse("admin:billing_payment_change", args=[payment.pk])
    assert refund_url(payment) in staff.get(page_url).text

    staff.act(refund_url(payment), share="all", reason="all")

    assert refund_url(payment) not in staff.get(page_url).text


def test_looking_is_not_refunding(payment: Payment) -> None:
    helper = sign_in(make_helper("adjust_credits", "apply_unapplied", "handle_event_again"))

    assert helper.get(refund_url(payment)).status_code == 403
    assert helper.post(refund_url(payment), {"share": "all"}).status_code == 403
    page = helper.get(reverse("admin:billing_payment_change", args=[payment.pk]))
    assert page.status_code == 200
    assert refund_url(payment) not in page.text


def test_the_right_to_refund_is_enough(payment: Payment) -> None:
    helper = sign_in(make_helper("refund_payment"))

    helper.act(refund_url(payment), share="part", amount="1.00", reason="may do so")

    assert StaffAction.objects.get().staff == helper.user


def test_there_is_no_refund_of_what_is_not_there(staff: Staff) -> None:
    for made_up in ("0199aaaa-0000-7000-8000-000000000000", "nonsense"):
        assert staff.get(f"/admin/billing/payment/{made_up}/refund/").status_code == 404
