"""Workers, owners and webhooks that act on one auto top-up at once: real threads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from accounts.services import closing
from billing.models import AutoTopUpCharge, AutoTopUpState, ChargeState, Payment
from billing.services import auto_top_up_charges, auto_top_ups
from tests.billing.charging import FakeChargingRail, again, owner, switched_on
from tests.billing.fakes import only_rail
from tests.billing.prepaid import differences
from tests.ledger.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 8


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeChargingRail]:
    """The only rail there is."""
    fake = FakeChargingRail()
    with only_rail(fake):
        yield fake


def test_workers_that_look_at_once_charge_once(rail: FakeChargingRail) -> None:
    for number in range(1, ROUNDS + 1):
        low = switched_on(left=499)

        at_once([partial(auto_top_up_charges.look, low.pk)] * 4)

        assert (len(rail.asked), Payment.objects.count()) == (number, number)


def test_an_account_that_closes_while_a_worker_looks_is_charged_before_it_or_not_at_all(
    rail: FakeChargingRail,
) -> None:
    for _ in range(ROUNDS):
        member = owner()
        low = switched_on(member, left=499)

        at_once(
            [
                partial(auto_top_up_charges.look, low.pk),
                partial(closing.close, member.customer, member.user),
            ]
        )

        member.customer.refresh_from_db()
        if member.customer.closed_at is not None:
            assert again(low).state == AutoTopUpState.OFF
        under_way = AutoTopUpCharge.objects.filter(auto_top_up=low, state=ChargeState.PENDING)
        for charge in under_way:
            auto_top_up_charges.send(charge.pk)
        # What was taken is booked, whichever came first.
        assert Payment.objects.count() == len(rail.made)
    assert differences() == []


def test_the_answer_and_its_webhook_at_once_deliver_once(rail: FakeChargingRail) -> None:
    for _ in range(ROUNDS):
        low = switched_on(left=499)
        charge = auto_top_up_charges.begin(low.pk)
        assert charge is not None
        answer = rail._answer(charge.order)

        at_once([partial(auto_top_up_charges.record, charge.order_id, answer)] * 3)

        assert Payment.objects.filter(order=charge.order).count() == 1
    assert differences() == []


def test_switching_on_and_off_while_workers_look_leaves_no_charge_without_consent(
    rail: FakeChargingRail,
) -> None:
    for _ in range(ROUNDS):
        member = owner()
        low = switched_on(member, left=499)

        at_once(
            [
                partial(auto_top_up_charges.look, low.pk),
                partial(auto_top_ups.switch_off, member.customer),
                partial(auto_top_up_charges.look, low.pk),
            ]
        )

        assert again(low).state == AutoTopUpState.OFF
        assert AutoTopUpCharge.objects.filter(auto_top_up=low).count() <= 1
