"""Auto top-up against the sandbox over HTTP: whatever happens, its owner is charged once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import stripe
from django.db import connections

from billing import ledger, selectors, tasks
from billing.errors import InsufficientFunds, RailUnavailable
from billing.models import (
    AutoTopUp,
    AutoTopUpCharge,
    AutoTopUpState,
    AutoTopUpStop,
    ChargeState,
    Code,
    Payment,
)
from billing.money import CREDIT, Money
from billing.rails.card import off_session
from billing.services import auto_top_up_charges, auto_top_ups, holds, refunds
from billing.services.auto_top_ups import Terms
from common import clock, doorbell
from tests.billing.charging import UNIT, spend
from tests.end_to_end import books
from tests.end_to_end.test_lost_answers import fail, however_the_answer_is_lost
from tests.end_to_end.till import Till, wait_until
from tests.end_to_end.topping_up import (
    DECLINES_LATER,
    GOOD,
    asked_at_stripe,
    charged_at_stripe,
    is_settled,
    save_card,
    states,
    swap_bank,
    switched_on,
)

EVENTS = 500
OTHER = "5555555555554444"
THREADS = 16


@pytest.fixture(autouse=True)
def books_agree(till: Till) -> Iterator[None]:
    yield
    till.control("faults/clear")
    till.settle_down()
    books.assert_agree(till)


def top_up(till: Till, row: AutoTopUp, *, charges: int = 1) -> None:
    """Do what beat has done every minute, until so many charges are decided."""

    def decided() -> bool:
        due_now()
        tasks.top_up()
        found = states(row)
        return len(found) == charges and ChargeState.PENDING not in found

    wait_until(decided, lambda: states(row), till.portal)
    till.settle_down()


def again(row: AutoTopUp) -> AutoTopUp:
    return AutoTopUp.objects.select_related("customer").get(pk=row.pk)


def due_now() -> None:
    """What is postponed is due: beat would come by in a while."""
    AutoTopUpCharge.objects.filter(state=ChargeState.PENDING).update(next_attempt_at=clock.now())


def test_500_events_under_the_threshold_make_exactly_one_charge(till: Till) -> None:
    row = switched_on(till, left=501)
    wallet = ledger.wallet(row.customer, CREDIT)

    def event(number: int) -> None:
        try:
            ledger.spend(
                wallet,
                UNIT,
                code=Code.USAGE,
                key=f"event:{row.pk}:{number}",
                occurred_at=clock.now(),
            )
            auto_top_ups.ring_if_low(row.customer)
            auto_top_up_charges.look(row.pk)  # as a worker that hears the bell at once
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(event, range(EVENTS)))
    till.settle_down()

    assert charged_at_stripe(row) == [5_00]
    assert asked_at_stripe(row) == 1
    assert states(row) == [ChargeState.PAID]
    assert selectors.credit_balance(row.customer) == Money((501 - 500 + 2_500) * UNIT, CREDIT)


def test_500_holds_over_the_service_make_one_charge_by_the_worker(till: Till) -> None:
    row = switched_on(till, left=600)

    def event(number: int) -> None:
        try:
            holds.reserve(row.customer, Money(UNIT, CREDIT), idempotency_key=str(number))
        except InsufficientFunds:  # pragma: no cover - would fail the sums below
            pass
        finally:
            connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(event, range(EVENTS)))
    wait_until(lambda: is_settled(row), lambda: states(row), till.portal)
    till.settle_down()

    assert charged_at_stripe(row) == [5_00]
    assert selectors.credit_balance(row.customer) == Money(2_600 * UNIT, CREDIT)


@however_the_answer_is_lost
def test_a_charge_is_made_once_whatever_becomes_of_the_answer(
    till: Till, how: dict[str, str]
) -> None:
    row = switched_on(till, left=100)
    with till.holding():  # so that no webhook tells what the answer did not
        fail(till, "/v1/payment_intents", **how)
        doorbell.ring("billing.top_up")
        wait_until(
            lambda: AutoTopUpCharge.objects.filter(auto_top_up=row).exclude(last_error=""),
            lambda: states(row),
            till.portal,
        )
        top_up(till, row)

    assert charged_at_stripe(row) == [5_00]
    assert states(row) == [ChargeState.PAID]


def test_a_worker_killed_in_the_middle_of_a_charge_leaves_one(till: Till) -> None:
    row = switched_on(till, left=600)
    till.settle_down()  # so that the worker dies over nothing else
    spend(row.customer, 500)
    with till.holding():
        # The answer is cut off again and again, until the worker dies over it.
        till.control(
            "faults", kind="api", method="POST", path="/v1/payment_intents", count=2,
            answer="cut", when="after",
        )  # fmt: skip
        doorbell.ring("billing.top_up")
        wait_until(lambda: asked_at_stripe(row), lambda: states(row), till.portal)
        till.portal.kill("worker")
    try:
        before = states(row)
    finally:
        till.portal.start("worker")
    top_up(till, row)

    assert before in ([ChargeState.PENDING], [ChargeState.PAID])
    assert charged_at_stripe(row) == [5_00]
    assert states(row) == [ChargeState.PAID]


def test_another_card_between_two_tries_is_not_charged_beside_the_first(till: Till) -> None:
    row = switched_on(till, left=100)
    charge = auto_top_up_charges.begin(row.pk)
    assert charge is not None
    with till.holding():
        off_session.charge(charge.order)  # its answer is lost, and its owner saves another card
        save_card(till, row, OTHER)
        with pytest.raises(RailUnavailable) as told:  # one that did not look it up first
            off_session.charge(charge.order)
        top_up(till, row)

    assert told.value.key_spent
    assert (charged_at_stripe(row), asked_at_stripe(row)) == ([5_00], 1)
    assert states(row) == [ChargeState.PAID]


def test_a_webhook_books_a_charge_whose_answer_is_lost(till: Till) -> None:
    row = switched_on(till, left=100)
    fail(till, "/v1/payment_intents", answer="cut", when="after")

    doorbell.ring("billing.top_up")
    wait_until(lambda: is_settled(row), lambda: states(row), till.portal)

    assert states(row) == [ChargeState.PAID]
    assert charged_at_stripe(row) == [5_00]


def test_reconciliation_finds_a_charge_that_nobody_told_of(till: Till) -> None:
    row = switched_on(till, left=100)
    charge = auto_top_up_charges.begin(row.pk)
    assert charge is not None
    till.control("faults", kind="drop", type="*", count=50)
    off_session.charge(charge.order)  # and then everything dies

    report = till.portal.manage("reconcile", check=False).stdout
    till.control("faults/clear")

    assert "payment_missing" in report
    assert "A saved card was charged, and nobody told us." in report
    assert states(row) == [ChargeState.PAID]
    assert selectors.credit_balance(row.customer) == Money(2_600 * UNIT, CREDIT)


def test_a_declined_card_is_tried_again_later_and_in_the_end_not(till: Till) -> None:
    row = switched_on(till, left=100)
    swap_bank(till, row, DECLINES_LATER)

    for turn in range(1, 5):
        top_up(till, row, charges=turn)
        assert asked_at_stripe(row) == turn
        AutoTopUp.objects.filter(pk=row.pk).update(next_look_at=clock.now())
    tasks.top_up()

    row = again(row)
    assert (row.state, row.stop_reason) == (AutoTopUpState.OFF, AutoTopUpStop.DECLINED)
    assert states(row) == [ChargeState.DECLINED] * 4
    assert charged_at_stripe(row) == []
    assert AutoTopUpCharge.objects.filter(auto_top_up=row).first().decline_code == "generic_decline"  # type: ignore[union-attr]


def test_a_declined_card_that_pays_later_is_charged_once(till: Till) -> None:
    row = switched_on(till, left=100)
    swap_bank(till, row, DECLINES_LATER)
    top_up(till, row)
    wait = again(row).next_look_at - clock.now()
    tasks.top_up()
    assert asked_at_stripe(row) == 1
    assert timedelta(minutes=50) < wait <= timedelta(hours=1)

    swap_bank(till, row, GOOD)
    AutoTopUp.objects.filter(pk=row.pk).update(next_look_at=clock.now())
    top_up(till, row, charges=2)

    assert charged_at_stripe(row) == [5_00]
    assert again(row).declines == 0


def test_a_month_takes_its_maximum_to_the_cent(till: Till) -> None:
    row = switched_on(till, left=100, terms=Terms(500 * UNIT, "", 3_33, 9_99))

    for turn in range(1, 4):
        top_up(till, row, charges=turn)
        left = selectors.credit_balance(row.customer).amount_minor
        spend(row.customer, left // UNIT, f"all {turn}")
    tasks.top_up()

    assert charged_at_stripe(row) == [3_33] * 3


def test_switched_off_while_the_answer_is_lost_charges_no_second_time(till: Till) -> None:
    row = switched_on(till, left=100)
    with till.holding():
        fail(till, "/v1/payment_intents", answer="cut", when="after")
        doorbell.ring("billing.top_up")
        wait_until(
            lambda: AutoTopUpCharge.objects.filter(auto_top_up=row).exclude(last_error=""),
            lambda: states(row),
            till.portal,
        )
        auto_top_ups.switch_off(row.customer)
        top_up(till, row)

    assert states(row) == [ChargeState.PAID]
    assert charged_at_stripe(row) == [5_00]
    assert again(row).state == AutoTopUpState.OFF


def test_a_disputed_charge_switches_it_off(till: Till) -> None:
    row = switched_on(till, left=100)
    top_up(till, row)
    made = stripe.Charge.list(limit=1).data[0]

    till.control(f"charges/{made.id}/dispute")
    till.settle_down()

    assert again(row).stop_reason == AutoTopUpStop.DISPUTED


def test_a_charge_is_refunded_as_any_other_and_not_made_again(till: Till) -> None:
    row = switched_on(till, left=100)
    top_up(till, row)
    payment = Payment.objects.get(customer=row.customer)

    refunds.request(payment.pk, reason="a test")
    till.settle_down()
    tasks.top_up()

    assert selectors.credit_balance(row.customer) == Money(100 * UNIT, CREDIT)
    assert asked_at_stripe(row) == 1


def test_every_charge_is_told_by_e_mail(till: Till) -> None:
    row = switched_on(till, left=100)
    top_up(till, row)

    def told() -> Any:
        doorbell.ring("billing.send_emails")
        return [mail for mail in till.portal.mails() if row.customer.email in mail]

    wait_until(told, till.portal.mails, till.portal)
    assert any("Auto top-up" in mail for mail in told())
