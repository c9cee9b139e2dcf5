"""Auto top-up: one charge when credits run low, as far as its owner agreed, and never twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from billing import selectors
from billing.models import (
    AutoTopUp,
    AutoTopUpCharge,
    AutoTopUpStop,
    ChargeState,
    Lot,
    OrderStatus,
    Payment,
)
from billing.money import CREDIT, USD, Money
from billing.services import auto_top_up_charges, auto_top_ups, holds, outgoing
from billing.services.auto_top_ups import Terms
from billing.services.charging import ChargeAnswer, Result
from billing.tasks import top_up
from common.clock import FrozenClock
from tests.billing.callers import Bell
from tests.billing.charging import (
    UNIT,
    FakeChargingRail,
    again,
    balance,
    declined,
    mails,
    owner,
    spend,
    spend_all,
    switched_on,
)
from tests.billing.prepaid import differences
from tests.factories import NOW, make_order

HOUR = timedelta(hours=1)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(charging_rail: FakeChargingRail) -> FakeChargingRail:
    return charging_rail


# -- one charge when credits run low --------------------------------------------------------------


def test_credits_that_fall_below_the_threshold_are_bought(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    top_up()

    (charge,) = AutoTopUpCharge.objects.all()
    payment = Payment.objects.get(order=charge.order)
    assert (charge.state, charge.order.status) == (ChargeState.PAID, OrderStatus.PAID)
    assert (payment.amount, payment.fee_minor) == (Money(5_00, USD), 45)
    assert balance(low) == Money(2_999 * UNIT, CREDIT)
    assert mails(low) == [("auto_top_up_charged", None)]
    assert differences() == []


@pytest.mark.parametrize("left", [500, 10_000])
def test_nothing_is_bought_at_or_above_the_threshold(rail: FakeChargingRail, left: int) -> None:
    switched_on(left=left)

    top_up()

    assert rail.asked == []


def test_nothing_is_bought_for_those_who_have_switched_it_off(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    auto_top_ups.switch_off(low.customer)

    top_up()

    assert rail.asked == []
    assert again(low).stop_reason == AutoTopUpStop.BY_OWNER
    assert mails(low) == []


def test_one_look_after_another_buys_once(low: AutoTopUp, rail: FakeChargingRail) -> None:
    for _ in range(5):
        auto_top_up_charges.look(low.pk)
        top_up()

    assert len(rail.asked) == 1


def test_credits_that_have_expired_do_not_count(rail: FakeChargingRail, now: FrozenClock) -> None:
    row = switched_on(left=100)
    top_up()  # 2,600 now
    spend(row.customer, 100)
    assert balance(row) == Money(2_500 * UNIT, CREDIT)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        Lot.objects.filter(account=row.wallet).update(expires_at=NOW + HOUR)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    now.move(2 * HOUR)
    top_up()

    assert len(rail.asked) == 2


def test_one_charge_is_in_flight_at_a_time(low: AutoTopUp, rail: FakeChargingRail) -> None:
    rail.outcome = ChargeAnswer("pi_slow", Result.UNDER_WAY)

    for _ in range(3):
        auto_top_up_charges.look(low.pk)

    charge = AutoTopUpCharge.objects.get()
    second = AutoTopUpCharge(
        auto_top_up=low,
        consent=charge.consent,
        order=make_order(customer=low.customer),
        requested_at=NOW,
        next_attempt_at=NOW,
    )
    assert charge.state == ChargeState.PENDING
    with pytest.raises(IntegrityError, match="one_auto_top_up_charge_in_flight"):
        second.save(force_insert=True)


def test_what_is_paid_and_not_yet_delivered_is_not_bought_again(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    top_up()
    charge = AutoTopUpCharge.objects.get()
    spend(low.customer, 2_900)
    charge.order.delivered_at = None
    charge.order.save(update_fields=["delivered_at"])

    top_up()

    assert len(rail.asked) == 1


def test_the_look_after_a_spend_is_one_query(low: AutoTopUp, bell: Bell) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        auto_top_ups.ring_if_low(low.customer)

    assert len(queries) == 1


@pytest.mark.django_db(transaction=True)
def test_reserving_credits_rings_when_few_are_left(bell: Bell) -> None:
    row = switched_on(left=600)
    bell.rung()

    holds.reserve(row.customer, Money(50 * UNIT, CREDIT))
    before = [name for name, _ in bell.rung()]
    holds.reserve(row.customer, Money(100 * UNIT, CREDIT))

    assert auto_top_ups.LOOK_TASK not in before
    assert (auto_top_ups.LOOK_TASK, [str(row.pk)]) in bell.rung()


# -- the month's maximum --------------------------------------------------------------------------


def test_a_month_takes_its_maximum_to_the_cent_and_no_more(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    row = switched_on(terms=Terms(500 * UNIT, "", 3_33, 9_99), left=100)

    for turn in range(3):
        top_up()
        spend_all(row, f"all {turn}")
    top_up()

    assert rail.money_taken() == 9_99
    found = selectors.auto_top_up(row.customer)
    assert found is not None
    assert (found.charged, found.left, found.is_month_full) == (
        Money(9_99, USD),
        Money(0, USD),
        True,
    )
    now.at = found.month_ends_at
    top_up()
    assert rail.money_taken() == 13_32


def test_one_cent_short_of_another_purchase_buys_none(rail: FakeChargingRail) -> None:
    row = switched_on(terms=Terms(500 * UNIT, "", 3_33, 6_65), left=100)

    top_up()
    spend_all(row)
    top_up()

    assert rail.money_taken() == 3_33


def test_months_are_those_of_the_customers_anchor_in_their_time_zone(
    rail: FakeChargingRail, now: FrozenClock
) -> None:
    member = owner()
    member.customer.anchor_at = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    member.customer.time_zone = "Europe/Berlin"  # 1 February 00:30 there
    member.customer.save(update_fields=["anchor_at", "time_zone"])
    row = switched_on(member, Terms(500 * UNIT, "", 5_00, 5_00), left=100)
    now.at = datetime(2026, 11, 30, 23, 29, tzinfo=UTC)  # 1 December 00:29 there
    top_up()
    spend_all(row)
    top_up()
    assert rail.money_taken() == 5_00

    now.at = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
    top_up()

    assert rail.money_taken() == 10_00


# -- lost answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key_spent", [False, True])
def test_a_lost_answer_is_looked_up_and_charges_once(
    low: AutoTopUp, rail: FakeChargingRail, now: FrozenClock, key_spent: bool
) -> None:
    rail.lose_answer, rail.key_spent = True, key_spent

    top_up()
    assert AutoTopUpCharge.objects.get().state == ChargeState.PENDING
    now.move(HOUR)
    top_up()

    assert rail.money_taken() == 5_00
    assert len(rail.asked) == 1
    assert AutoTopUpCharge.objects.get().state == ChargeState.PAID
    assert balance(low) == Money(2_999 * UNIT, CREDIT)


def test_a_worker_that_dies_after_the_call_leaves_one_charge(
    low: AutoTopUp, rail: FakeChargingRail, now: FrozenClock
) -> None:
    class Killed(BaseException):
        """What no except clause of ours catches."""

    charge = auto_top_up_charges.begin(low.pk)
    assert charge is not None
    answer = rail.charge_saved

    def killed(order: Any) -> ChargeAnswer:
        answer(order)
        raise Killed

    rail.charge_saved = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        auto_top_up_charges.send(charge.pk)
    rail.charge_saved = answer  # type: ignore[method-assign]
    top_up()  # another worker, at once: its lease still runs
    assert AutoTopUpCharge.objects.get().state == ChargeState.PENDING

    now.move(outgoing.LEASE)
    top_up()

    assert (len(rail.made), rail.money_taken()) == (1, 5_00)
    assert AutoTopUpCharge.objects.get().state == ChargeState.PAID


def test_after_twenty_hours_a_new_key_is_used(
    low: AutoTopUp, rail: FakeChargingRail, now: FrozenClock
) -> None:
    rail.down = True
    for _ in range(30):
        top_up()
        now.move(HOUR)
    rail.down = False
    top_up()

    charge = AutoTopUpCharge.objects.get()
    assert charge.order.spent_keys > 0
    assert rail.asked == [charge.order.provider_key]
    assert charge.state == ChargeState.PAID


def test_a_webhook_and_the_answer_book_one_payment(low: AutoTopUp, rail: FakeChargingRail) -> None:
    def webhook(order: Any) -> None:
        auto_top_up_charges.record(order.pk, rail._answer(order))

    rail.meanwhile = webhook

    top_up()

    assert Payment.objects.count() == 1
    assert balance(low) == Money(2_999 * UNIT, CREDIT)
    assert mails(low) == [("auto_top_up_charged", None)]


def test_an_answer_about_somebody_elses_order_changes_nothing(low: AutoTopUp) -> None:
    order = make_order(customer=low.customer)

    assert auto_top_up_charges.record(order.pk, declined()) is None

    order.refresh_from_db()
    assert order.status == OrderStatus.OPEN
