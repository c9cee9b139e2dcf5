"""A charge of auto top-up that waited, while what was agreed to changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing import selectors
from billing.models import AutoTopUp, AutoTopUpCharge, ChargeState, OrderStatus
from billing.services import auto_top_up_charges, auto_top_ups
from billing.services.auto_top_ups import Terms
from billing.tasks import top_up
from common.clock import FrozenClock
from tests.billing.charging import (
    UNIT,
    FakeChargingRail,
    again,
    balance,
    owner,
    spend_all,
    switched_on,
)
from tests.factories import make_wallet

HOUR = timedelta(hours=1)
# One purchase a month.
ONCE = Terms(500 * UNIT, "small", 5_00, 5_00)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(charging_rail: FakeChargingRail) -> FakeChargingRail:
    return charging_rail


def waiting(rail: FakeChargingRail, terms: Terms) -> AutoTopUp:
    """A charge that was begun while the provider was out of reach, so that it waits."""
    low = switched_on(terms=terms, left=499)
    rail.down = True
    top_up()
    rail.down = False
    return low


def test_what_was_narrowed_meanwhile_is_what_is_charged(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    low = waiting(rail, Terms(500 * UNIT, "medium", 10_00, 20_00))

    auto_top_ups.narrow(low.customer, Terms(500 * UNIT, "small", 5_00, 5_00))
    for _ in range(3):
        now.move(HOUR)
        top_up()

    assert rail.money_taken() == 5_00


def test_agreeing_anew_to_less_ends_the_larger_purchase(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    low = waiting(rail, Terms(500 * UNIT, "medium", 10_00, 20_00))

    member = owner(low.consent.agreed_by if low.consent else None)
    auto_top_ups.switch_on(member, ONCE, words="I agree to less.")
    for _ in range(3):
        now.move(HOUR)
        top_up()

    assert rail.money_taken() == 5_00
    assert AutoTopUpCharge.objects.get(state=ChargeState.PAID).consent_id == again(low).consent_id


def test_a_maximum_that_was_lowered_below_what_is_charged_already_buys_nothing(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    low = switched_on(terms=Terms(500 * UNIT, "small", 5_00, 10_00), left=499)
    top_up()
    spend_all(low)
    rail.down = True
    top_up()
    rail.down = False

    auto_top_ups.narrow(low.customer, ONCE)
    for _ in range(3):
        now.move(HOUR)
        top_up()

    assert rail.money_taken() == 5_00


def test_one_that_waited_into_the_next_month_counts_in_that_month(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    low = switched_on(terms=ONCE, left=499)
    now.at = selectors.month_of(low.customer)[1] - timedelta(minutes=1)
    rail.down = True
    top_up()
    rail.down = False

    for number in range(4):
        now.move(HOUR)
        top_up()
        if balance(low):
            spend_all(low, key=f"all{number}")

    starts_at = selectors.month_of(low.customer)[0]
    taken = [one.charge for one in rail.made.values() if one.charge]
    assert [one.amount_minor for one in taken if one.occurred_at >= starts_at] == [5_00]


def test_credits_that_came_another_way_meanwhile_spare_the_card(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    low = waiting(rail, ONCE)
    make_wallet(customer=low.customer, credits_minor=9_000 * UNIT)

    now.move(HOUR)
    top_up()

    charge = AutoTopUpCharge.objects.select_related("order").get()
    assert (charge.state, charge.order.status) == (ChargeState.CANCELLED, OrderStatus.EXPIRED)
    assert rail.asked == []


def test_one_whose_answer_was_lost_is_booked_whatever_changed_meanwhile(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    low = switched_on(terms=Terms(500 * UNIT, "medium", 10_00, 20_00), left=499)
    rail.lose_answer = True
    top_up()

    auto_top_ups.narrow(low.customer, ONCE)
    now.move(HOUR)
    top_up()

    charge = AutoTopUpCharge.objects.get()
    assert (charge.state, rail.money_taken()) == (ChargeState.PAID, 10_00)
    assert auto_top_up_charges.due_ids() == []
