"""Auto top-up that is declined, or switched off while a charge is under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from billing.models import (
    AutoTopUp,
    AutoTopUpCharge,
    AutoTopUpState,
    AutoTopUpStop,
    ChargeState,
    OrderStatus,
)
from billing.money import CREDIT, Money
from billing.services import auto_top_up_charges, auto_top_ups
from billing.services.auto_top_ups import Terms
from billing.services.charging import ChargeAnswer, Result
from billing.tasks import top_up
from common.clock import FrozenClock
from tests.billing.charging import (
    UNIT,
    FakeChargingRail,
    again,
    balance,
    declined,
    mails,
    switched_on,
)
from tests.billing.prepaid import differences
from tests.factories import NOW

HOUR = timedelta(hours=1)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(charging_rail: FakeChargingRail) -> FakeChargingRail:
    return charging_rail


# -- declines -------------------------------------------------------------------------------------


def test_after_each_decline_it_waits_longer_and_then_switches_itself_off(
    low: AutoTopUp, rail: FakeChargingRail, now: FrozenClock
) -> None:
    rail.outcome = declined()

    tried_at = []
    for _ in range(24 * 4):
        asked = len(rail.asked)
        top_up()
        if len(rail.asked) > asked:
            tried_at.append((now.at - NOW) // HOUR)
        now.move(HOUR)

    assert tried_at == [0, 1, 1 + 8, 1 + 8 + 24]
    row = again(low)
    assert (row.state, row.stop_reason) == (AutoTopUpState.OFF, AutoTopUpStop.DECLINED)
    assert mails(low) == [("auto_top_up_failed", "declined")] * 3 + [
        ("auto_top_up_stopped", "declined")
    ]
    assert rail.money_taken() == 0
    assert set(AutoTopUpCharge.objects.values_list("order__status", flat=True)) == {
        OrderStatus.FAILED
    }


def test_a_charge_that_is_paid_forgets_the_declines_before_it(
    low: AutoTopUp, rail: FakeChargingRail, now: FrozenClock
) -> None:
    rail.outcome = declined()
    top_up()
    rail.outcome = ChargeAnswer("", Result.PAID)
    now.move(HOUR)
    top_up()

    assert again(low).declines == 0
    assert rail.money_taken() == 5_00


def test_declined_charges_leave_the_months_maximum_alone(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    row = switched_on(terms=Terms(500 * UNIT, "", 5_00, 5_00), left=100)
    rail.outcome = declined()
    top_up()
    rail.outcome = ChargeAnswer("", Result.PAID)
    now.move(HOUR)
    top_up()

    assert rail.money_taken() == 5_00
    assert balance(row) == Money(2_600 * UNIT, CREDIT)


@pytest.mark.parametrize(
    ("how", "reason"),
    [({"is_final": True}, "declined"), ({"no_card": True, "code": "no_card"}, "no_card")],
)
def test_what_will_never_be_paid_is_not_tried_again(
    low: AutoTopUp, rail: FakeChargingRail, how: dict[str, Any], reason: str
) -> None:
    rail.outcome = declined(**how)

    top_up()

    assert again(low).stop_reason == reason
    assert mails(low) == [("auto_top_up_stopped", reason)]


def test_a_bank_that_wants_its_owner_is_told_of_as_that(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    rail.outcome = declined(needs_owner=True)

    top_up()

    assert mails(low) == [("auto_top_up_failed", "needs_you")]


def test_a_decline_that_is_told_twice_counts_once(low: AutoTopUp, rail: FakeChargingRail) -> None:
    rail.outcome = declined()
    top_up()

    auto_top_up_charges.record(AutoTopUpCharge.objects.get().order_id, declined())

    assert again(low).declines == 1


# -- switching off while a charge is under way ----------------------------------------------------


def test_switched_off_before_the_card_was_asked_charges_nothing(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    charge = auto_top_up_charges.begin(low.pk)
    assert charge is not None
    auto_top_ups.switch_off(low.customer)

    auto_top_up_charges.send(charge.pk)

    charge.refresh_from_db()
    assert (charge.state, rail.asked) == (ChargeState.CANCELLED, [])


def test_switched_off_while_the_card_is_charged_books_what_was_taken(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    rail.meanwhile = lambda order: auto_top_ups.switch_off(low.customer)

    top_up()

    assert AutoTopUpCharge.objects.get().state == ChargeState.PAID
    assert balance(low) == Money(2_999 * UNIT, CREDIT)
    assert again(low).state == AutoTopUpState.OFF
    assert mails(low) == [("auto_top_up_charged", None)]


@pytest.mark.parametrize("went_through", [True, False])
def test_switched_off_after_a_lost_answer_finds_out_and_asks_no_second_time(
    low: AutoTopUp, rail: FakeChargingRail, now: FrozenClock, went_through: bool
) -> None:
    rail.lose_answer = True
    top_up()
    if not went_through:
        rail.made.clear()
    auto_top_ups.switch_off(low.customer)

    for _ in range(3):
        now.move(HOUR)
        top_up()

    expected = ChargeState.PAID if went_through else ChargeState.CANCELLED
    assert AutoTopUpCharge.objects.get().state == expected
    assert len(rail.asked) == 1


def test_money_that_comes_for_a_cancelled_charge_is_kept_for_its_owner(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    charge = auto_top_up_charges.begin(low.pk)
    assert charge is not None
    auto_top_ups.switch_off(low.customer)
    auto_top_up_charges.send(charge.pk)

    payment = auto_top_up_charges.record(charge.order_id, rail._answer(charge.order))

    assert payment is not None
    assert payment.unapplied_reason != ""
    charge.refresh_from_db()
    assert charge.state == ChargeState.PAID
    assert differences() == []
