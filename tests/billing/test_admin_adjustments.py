"""Credits given and taken by hand: shown first, done once, in the statement and in the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.urls import reverse

from accounts.models import Customer
from billing import ledger, selectors
from billing.models import Code, LedgerAccount, Lot, StaffAction, Transfer
from billing.money import CREDIT, Money
from common import clock
from tests.billing.staff import Staff, make_helper, sign_in, words
from tests.factories import NOW, make_customer, make_wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Staff:
    """A superuser in the admin."""
    return sign_in()


@pytest.fixture
def wallet() -> LedgerAccount:
    """The wallet of a customer with 300 credits."""
    return make_wallet(credits_minor=300_000_000)


def owner_of(wallet: LedgerAccount) -> Customer:
    assert wallet.owner is not None
    return wallet.owner


def url(act: str, wallet: LedgerAccount) -> str:
    return reverse(f"admin:accounts_customer_{act}_credits", args=[owner_of(wallet).pk])


def granted(wallet: LedgerAccount) -> QuerySet[Lot]:
    return Lot.objects.filter(account=wallet, origin__startswith="adjustment:")


def grant(**fields: Any) -> dict[str, Any]:
    return {"amount": "200", "kind": "promotion", "reason": "sorry for the outage"} | fields


def test_a_grant_is_shown_before_it_happens(staff: Staff, wallet: LedgerAccount) -> None:
    page = staff.shown(url("grant", wallet), **grant())

    assert "Grant 200 credits" in words(page)
    assert "Spendable afterwards 500 credits" in words(page)
    assert "Valid for good" in words(page)
    assert not granted(wallet).exists()
    assert not StaffAction.objects.exists()


def test_a_gift_is_a_promotional_lot(staff: Staff, wallet: LedgerAccount) -> None:
    answer = staff.act(url("grant", wallet), **grant(amount="200.5"))

    assert answer.status_code == 302
    lot = granted(wallet).get()
    assert (lot.granted_minor, lot.promotional, lot.cost_minor) == (200_500_000, True, 0)
    assert lot.transfer.code == Code.PROMOTION


def test_a_correction_pays_a_debt_first(staff: Staff) -> None:
    wallet = make_wallet()
    ledger.claw_back(wallet, 50_000_000, key="gone", group="gone", occurred_at=NOW)

    page = staff.shown(url("grant", wallet), **grant(kind="correction"))
    assert "Spendable afterwards 150 credits Owed afterwards 0 credits" in words(page)
    staff.post_final(url("grant", wallet), page)

    balance = selectors.balance(owner_of(wallet))
    assert (balance.spendable, balance.debt) == (Money(150_000_000, CREDIT), Money(0, CREDIT))
    assert granted(wallet).get().transfer.code == Code.ADJUSTMENT


def test_the_last_day_ends_where_the_customer_lives(staff: Staff) -> None:
    wallet = make_wallet(customer=make_customer(time_zone="Asia/Tokyo"))

    with clock.frozen(NOW):
        staff.act(url("grant", wallet), **grant(expires_on="2026-11-30"))

    assert granted(wallet).get().expires_at == datetime(2026, 11, 30, 15, tzinfo=UTC)


def test_a_day_that_is_past_is_refused(staff: Staff, wallet: LedgerAccount) -> None:
    yesterday = (clock.now() - timedelta(days=2)).date()

    page = staff.shown(url("grant", wallet), **grant(expires_on=str(yesterday)))

    assert "That day is past." in words(page)


def test_a_double_click_grants_once(staff: Staff, wallet: LedgerAccount) -> None:
    page = staff.shown(url("grant", wallet), **grant())

    answers = [staff.post_final(url("grant", wallet), page) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert granted(wallet).count() == 1
    assert StaffAction.objects.count() == 1


def test_credits_are_taken_away(staff: Staff, wallet: LedgerAccount) -> None:
    page = staff.shown(url("take", wallet), amount="120", reason="granted by mistake")
    assert "Spendable afterwards 180 credits" in words(page)

    staff.post_final(url("take", wallet), page)

    assert selectors.credit_balance(owner_of(wallet)) == Money(180_000_000, CREDIT)
    taken = Transfer.objects.get(code=Code.ADJUSTMENT)
    assert (taken.target.role, taken.target.owner) == ("adjusted", None)


def test_more_than_there_is_is_refused(staff: Staff, wallet: LedgerAccount) -> None:
    page = staff.shown(url("take", wallet), amount="301", reason="granted by mistake")

    assert "There is less in this wallet: 300 credits could be taken." in words(page)
    assert selectors.credit_balance(owner_of(wallet)) == Money(300_000_000, CREDIT)


def test_more_than_there_is_can_be_owed(staff: Staff, wallet: LedgerAccount) -> None:
    page = staff.shown(url("take", wallet), amount="301", may_owe="on", reason="fraud")
    assert "Owed afterwards 1 credits" in words(page)

    staff.post_final(url("take", wallet), page)

    balance = selectors.balance(owner_of(wallet))
    assert (balance.spendable, balance.debt) == (Money(0, CREDIT), Money(1_000_000, CREDIT))


def test_neither_debt_nor_the_customers_own_cap_stops_staff(
    staff: Staff, wallet: LedgerAccount
) -> None:
    ledger.set_spend_cap(wallet, 1, anchor_at=NOW, zone="UTC", at=clock.now())

    staff.act(url("take", wallet), amount="120", reason="granted by mistake")

    assert selectors.credit_balance(owner_of(wallet)) == Money(180_000_000, CREDIT)


def test_a_double_click_takes_once(staff: Staff, wallet: LedgerAccount) -> None:
    page = staff.shown(url("take", wallet), amount="120", reason="granted by mistake")

    answers = [staff.post_final(url("take", wallet), page) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert selectors.credit_balance(owner_of(wallet)) == Money(180_000_000, CREDIT)
    assert StaffAction.objects.count() == 1


def test_both_are_in_the_customers_statement(staff: Staff, wallet: LedgerAccount) -> None:
    staff.act(url("grant", wallet), **grant(kind="correction"))
    staff.act(url("take", wallet), amount="120", reason="granted by mistake")

    rows = selectors.statement(wallet, limit=2).rows

    assert [row.amount.amount_minor for row in rows] == [-120_000_000, 200_000_000]
    assert {row.description for row in rows} == {"Adjusted by our staff"}


def test_both_are_logged_with_their_reason(staff: Staff, wallet: LedgerAccount) -> None:
    staff.act(url("grant", wallet), **grant())
    staff.act(url("take", wallet), amount="120", reason="granted by mistake")

    taken, given = StaffAction.objects.order_by("-pk")
    assert (given.act, given.reason) == ("grant_credits", "sorry for the outage")
    assert given.detail == {"amount": "200 credits", "promotional": True, "expires_at": None}
    assert (taken.act, taken.reason) == ("take_credits", "granted by mistake")
    assert taken.detail == {"amount": "120 credits", "may_owe": False, "owed": "0 credits"}
    assert {taken.customer, given.customer} == {owner_of(wallet)}
    assert {taken.staff, given.staff} == {staff.user}


@pytest.mark.parametrize("act", ["grant", "take"])
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"amount": "0"}, "greater than or equal to"),
        ({"amount": "-5"}, "greater than or equal to"),
        ({"amount": "1e99"}, "less than or equal to"),
        ({"amount": "NaN"}, "Enter a number."),
        ({"amount": "0.0000001"}, "no more than 6 decimal places"),
        ({"amount": ""}, "This field is required."),
        ({"reason": ""}, "This field is required."),
        ({"reason": "x" * 201}, "at most 200 characters"),
    ],
)
def test_they_refuse(
    staff: Staff, wallet: LedgerAccount, act: str, fields: dict[str, str], sentence: str
) -> None:
    page = staff.shown(url(act, wallet), **grant(**fields))

    assert sentence in words(page)
    assert not StaffAction.objects.exists()


def test_looking_is_not_adjusting(wallet: LedgerAccount) -> None:
    helper = sign_in(make_helper("refund_payment", "apply_unapplied", "handle_event_again"))

    for act in ("grant", "take"):
        assert helper.get(url(act, wallet)).status_code == 403
        assert helper.post(url(act, wallet), grant()).status_code == 403
    assert not StaffAction.objects.exists()


def test_the_right_to_adjust_is_enough(wallet: LedgerAccount) -> None:
    helper = sign_in(make_helper("adjust_credits"))

    helper.act(url("grant", wallet), **grant())

    assert StaffAction.objects.get().staff == helper.user
