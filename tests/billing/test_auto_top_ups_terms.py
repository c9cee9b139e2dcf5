"""Auto top-up: who switches it on and off, what may be agreed to, and what stops it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.http import RoleInsufficient
from accounts.models import Membership
from billing import selectors
from billing.models import (
    AutoTopUp,
    AutoTopUpConsent,
    AutoTopUpState,
    AutoTopUpStop,
    DisputeState,
    Payment,
)
from billing.services import auto_top_up_charges, auto_top_ups, disputes, orders, refunds
from billing.services.auto_top_ups import NotOffered, OwnerOnly, Terms
from billing.tasks import top_up
from common.errors import Conflict, InvalidInput
from tests.accounts.factories import join, make_person, make_team
from tests.billing.charging import (
    CARD,
    TERMS,
    UNIT,
    FakeChargingRail,
    again,
    mails,
    owner,
    switched_on,
)
from tests.factories import NOW

HOUR = timedelta(hours=1)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now")]


@pytest.fixture(autouse=True)
def rail(charging_rail: FakeChargingRail) -> FakeChargingRail:
    return charging_rail


# -- who may switch it on -------------------------------------------------------------------------


def test_who_agreed_to_what_and_when_is_kept(low: AutoTopUp) -> None:
    consent = AutoTopUpConsent.objects.get()

    assert consent.agreed_by is not None
    assert consent.agreed_by_email == consent.agreed_by.email
    assert (consent.agreed_at, consent.text) == (NOW, "I agree to what a test says.")
    assert auto_top_ups.terms_of(consent) == TERMS


def test_a_member_who_only_looks_cannot_switch_it_on() -> None:
    team = make_team(make_person())
    looking = Membership.objects.get(user=join(team, Membership.Role.MEMBER), customer=team)

    with pytest.raises(RoleInsufficient):
        auto_top_ups.switch_on(looking, TERMS, words="I agree.")

    assert not AutoTopUp.objects.exists()


def test_the_database_has_none_that_is_on_without_consent(low: AutoTopUp) -> None:
    with pytest.raises(IntegrityError, match="auto_top_up_was_agreed_to"), transaction.atomic():
        AutoTopUp.objects.update(consent=None)


def test_a_program_may_narrow_it_and_no_more(low: AutoTopUp) -> None:
    narrower = Terms(400 * UNIT, "", 4_00, 10_00)
    auto_top_ups.narrow(low.customer, narrower)
    assert auto_top_ups.terms_of(again(low)) == narrower

    for wider in (
        Terms(401 * UNIT, "", 4_00, 10_00),
        Terms(400 * UNIT, "", 4_01, 10_00),
        Terms(400 * UNIT, "", 4_00, 10_01),
    ):
        with pytest.raises(OwnerOnly):
            auto_top_ups.narrow(low.customer, wider)
    auto_top_ups.switch_off(low.customer)
    with pytest.raises(OwnerOnly):
        auto_top_ups.narrow(low.customer, narrower)


def test_without_a_card_it_waits_and_begins_once_one_is_saved(rail: FakeChargingRail) -> None:
    rail.card = None
    row = switched_on(left=100)
    top_up()
    assert (row.state, rail.asked) == (AutoTopUpState.WAITING, [])

    auto_top_ups.saving_url(row, done_url="https://x.test/", back_url="https://x.test/")
    auto_top_ups.finish_saving(row.customer, "cs_done")
    top_up()

    assert (again(row).state, again(row).card) == (AutoTopUpState.ON, CARD)
    assert rail.money_taken() == 5_00


def test_a_card_saved_after_it_was_switched_off_does_not_switch_it_on(
    rail: FakeChargingRail,
) -> None:
    rail.card = None
    row = switched_on(left=100)
    auto_top_ups.saving_url(row, done_url="https://x.test/", back_url="https://x.test/")
    auto_top_ups.switch_off(row.customer)

    auto_top_ups.finish_saving(row.customer, "cs_done")

    assert again(row).state == AutoTopUpState.OFF


def test_a_card_saved_for_an_earlier_consent_changes_nothing(rail: FakeChargingRail) -> None:
    rail.card = None
    member = owner()
    first = switched_on(member, left=100)
    old = str(first.consent_id)
    switched_on(member, left=0)

    auto_top_ups.card_saved(member.customer, reference=old, card=CARD)

    assert again(first).state == AutoTopUpState.WAITING


def test_where_cards_cannot_be_charged_it_is_not_offered_and_stops(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    rail.why_not = "Tax is worked out at checkout."

    with pytest.raises(NotOffered, match="Tax is worked out"):
        switched_on()
    top_up()

    assert rail.asked == []
    assert again(low).stop_reason == AutoTopUpStop.NOT_OFFERED


def test_a_package_that_costs_more_than_agreed_is_not_bought(
    low: AutoTopUp, rail: FakeChargingRail
) -> None:
    AutoTopUp.objects.update(price_minor=4_99)

    top_up()

    assert rail.asked == []
    assert again(low).stop_reason == AutoTopUpStop.PRICE_CHANGED


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"threshold_minor": 2_501 * UNIT}, "threshold"),
        ({"threshold_minor": 0}, "threshold"),
        ({"monthly_max_minor": 4_99}, "monthly_max"),
        ({"package": "pkg_100"}, "package"),
        ({"package": "none"}, "package"),
        ({"package": "", "amount_minor": 99}, "amount_minor"),
    ],
)
def test_terms_that_make_no_sense_are_refused_by_field(given: dict[str, Any], field: str) -> None:
    asked: dict[str, Any] = {
        "threshold_minor": 500 * UNIT,
        "package": "small",
        "amount_minor": None,
        "monthly_max_minor": 15_00,
    }

    with pytest.raises(InvalidInput) as caught:
        auto_top_ups.terms(**(asked | given))

    assert list(caught.value.fields) == [field]


# -- the order of a charge ------------------------------------------------------------------------


def test_its_order_cannot_be_paid_by_hand(low: AutoTopUp) -> None:
    charge = auto_top_up_charges.begin(low.pk)
    assert charge is not None

    with pytest.raises(Conflict, match="cannot be paid by hand"):
        orders.pay_url(charge.order)

    assert not selectors.purchase(low.customer, charge.order.pk).is_payable


def test_a_refund_of_credits_switches_it_off(low: AutoTopUp, rail: FakeChargingRail) -> None:
    top_up()

    refunds.request(Payment.objects.get().pk, reason="a test")
    top_up()

    assert again(low).stop_reason == AutoTopUpStop.REFUNDED
    assert mails(low)[-1] == ("auto_top_up_stopped", "refunded")
    assert len(rail.asked) == 1


@pytest.mark.parametrize("state", [DisputeState.INQUIRY, DisputeState.OPEN, DisputeState.LOST])
def test_a_dispute_switches_it_off_however_late_it_is_heard_of(
    low: AutoTopUp, state: DisputeState
) -> None:
    top_up()
    payment = Payment.objects.get()

    disputes.record(
        payment.pk,
        disputes.Claim(
            external_id="dp_1",
            state=state,
            provider_status=str(state),
            reason="fraudulent",
            amount_minor=5_00,
            withdrawn_minor=5_00,
            reinstated_minor=0,
            fee_minor=0,
            opened_at=payment.occurred_at,
            evidence_due_at=None,
        ),
    )

    assert again(low).stop_reason == AutoTopUpStop.DISPUTED
