"""Acts of staff: once per key, both act and log or neither; rehearsals leave nothing behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pytest

from accounts.models import User
from billing import ledger, selectors
from billing.errors import IdempotencyMismatch, NotRefundable
from billing.models import Code, Lot, Refund, StaffAction, Transfer
from billing.money import CREDIT, USD, Money
from billing.selectors import audit
from billing.services import adjustments, refund_previews, refunds, staff
from billing.services.rehearsals import rehearse
from billing.services.staff import Note
from common.errors import Conflict, InvalidInput
from tests.accounts.factories import make_staff
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW, make_customer, make_order, make_payment
from tests.ledger.threads import at_once

TEN = Money(10_000_000, CREDIT)


@pytest.fixture(autouse=True)
def _far_side() -> Iterator[None]:
    """The only rail there is."""
    with only_rail(FakeRail()):
        yield


@pytest.fixture
def user() -> User:
    """A member of staff."""
    return make_staff()


@pytest.mark.django_db
def test_an_act_that_is_refused_leaves_no_line(user: User) -> None:
    with pytest.raises(Conflict):
        adjustments.take(Note(user, "fraud", "k"), make_customer(), TEN, may_owe=False)

    assert not StaffAction.objects.exists()


@pytest.mark.django_db
def test_an_act_that_cannot_be_logged_does_not_happen(user: User) -> None:
    customer = make_customer()
    note = Note(user, "sorry", "k" * 101)  # longer than the log takes

    with pytest.raises(Exception, match="value too long"):
        adjustments.grant(note, customer, TEN, promotional=True)

    assert not StaffAction.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("reason", ["", "  \n "])
def test_an_act_without_a_reason_is_refused(user: User, reason: str) -> None:
    with pytest.raises(InvalidInput, match="Say why"):
        adjustments.grant(Note(user, reason, "k"), make_customer(), TEN, promotional=True)

    assert not Lot.objects.exists()


@pytest.mark.django_db
def test_a_key_comes_back_with_its_first_act(user: User) -> None:
    customer, note = make_customer(), Note(user, "sorry", "k")

    first = adjustments.grant(note, customer, TEN, promotional=True)
    again = adjustments.grant(note, customer, TEN, promotional=True)

    assert again == first
    assert selectors.credit_balance(customer) == TEN


@pytest.mark.django_db
def test_a_key_that_comes_back_for_something_else_is_refused(user: User) -> None:
    customer, note = make_customer(), Note(user, "sorry", "k")
    adjustments.grant(note, customer, TEN, promotional=True)

    for other in (
        partial(adjustments.grant, note, customer, TEN + TEN, promotional=True),
        partial(adjustments.grant, note, make_customer(), TEN, promotional=True),
        partial(adjustments.grant, Note(make_staff(), "me", "k"), customer, TEN, promotional=True),
        partial(adjustments.take, note, customer, TEN, may_owe=False),
    ):
        with pytest.raises(IdempotencyMismatch):
            other()
    assert selectors.credit_balance(customer) == TEN


@pytest.mark.django_db(transaction=True)
def test_the_same_form_sent_many_times_at_once_is_one_act(user: User) -> None:
    payment = make_payment(tax_minor=99)
    note = Note(user, "asked", "k")

    answers = at_once([partial(staff.refund, note, payment, Money(1_00, USD), forced=False)] * 8)

    assert {str(answer) for answer in answers} == {f"refund payment:{payment.pk}"}
    assert Refund.objects.count() == 1
    assert StaffAction.objects.count() == 1


@pytest.mark.django_db
def test_the_books_add_up_after_all_of_it(user: User) -> None:
    customer = make_customer()
    payment = make_payment(make_order(customer=customer), tax_minor=99)
    adjustments.grant(Note(user, "r", "a"), customer, TEN, promotional=True)
    adjustments.grant(Note(user, "r", "b"), customer, TEN, promotional=False)
    adjustments.take(Note(user, "r", "c"), customer, TEN, may_owe=False)
    adjustments.take(Note(user, "r", "d"), customer, Money(3_000_000_000, CREDIT), may_owe=True)
    staff.refund(Note(user, "r", "e"), payment, payment.amount, forced=True)
    refunds.send(Refund.objects.get().pk)

    assert [str(difference) for difference in audit.differences()] == []


@pytest.mark.django_db
def test_a_rehearsal_returns_what_would_be_and_leaves_nothing(user: User) -> None:
    customer = make_customer()

    def act() -> Money:
        adjustments.grant(Note(user, "r", "k"), customer, TEN, promotional=True)
        return selectors.credit_balance(customer)

    assert rehearse(act) == TEN
    assert selectors.credit_balance(customer) == Money(0, CREDIT)
    assert not StaffAction.objects.exists()


@pytest.mark.django_db
def test_a_preview_of_a_refund_rings_nobody_and_tells_nobody(
    django_capture_on_commit_callbacks: Any,
) -> None:
    payment = make_payment(tax_minor=99)

    with django_capture_on_commit_callbacks() as waiting:
        refund_previews.preview(payment, amount_minor=None, forced=False)
    assert waiting == []
    with django_capture_on_commit_callbacks() as waiting:
        refunds.request(payment.pk, reason="r")
    assert len(waiting) == 1


def movements(transfers: Iterable[Transfer]) -> list[tuple[str, str, int]]:
    return [(one.source.role, one.target.role, one.amount_minor) for one in transfers]


@pytest.mark.django_db
@pytest.mark.parametrize("spent", [0, 1, 999_999_999, 1_000_000_000, 2_500_000_000])
@pytest.mark.parametrize("amount_minor", [None, 1, 2_00, 5_99])
@pytest.mark.parametrize("forced", [False, True])
def test_a_preview_says_what_the_refund_then_does(
    spent: int, amount_minor: int | None, forced: bool
) -> None:
    payment = make_payment(tax_minor=99)
    assert payment.customer is not None
    wallet = ledger.wallet(payment.customer, CREDIT)
    if spent:
        ledger.spend(wallet, spent, code=Code.USAGE, key="spent", occurred_at=NOW)
    try:
        told = refund_previews.preview(payment, amount_minor=amount_minor, forced=forced)
    except NotRefundable as refusal:
        with pytest.raises(NotRefundable, match=str(refusal).replace("$", r"\$")):
            refunds.request(payment.pk, reason="r", amount_minor=amount_minor, forced=forced)
        return

    refund = refunds.request(payment.pk, reason="r", amount_minor=amount_minor, forced=forced)
    refunds.send(refund.pk)

    refund.refresh_from_db()
    moved = Transfer.objects.filter(group=f"refund:{refund.pk}").order_by("pk")
    assert (told.amount.amount_minor, told.tax.amount_minor) == (
        refund.amount_minor,
        refund.tax_minor,
    )
    assert movements(moved) == movements(told.transfers)
    owed = sum(units.owed.amount_minor for units in told.units)
    assert selectors.balance(payment.customer).debt.amount_minor == owed
