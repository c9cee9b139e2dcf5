"""The page of the spend cap, its banner, and what staff see of it."""

from __future__ import annotations

import pytest
from django.utils.formats import date_format

from accounts.middleware import SESSION_KEY
from accounts.models import Membership
from billing import ledger, selectors
from billing.models import Code
from billing.money import CREDIT, Money
from billing.services import spend_caps
from common import clock
from tests.accounts.factories import PersonClient, join, make_person, make_team, signed_in
from tests.billing.callers import member_who_only_looks, text_of
from tests.billing.prepaid import ONE, give
from tests.billing.staff import sign_in
from tests.billing.subscribers import said

pytestmark = pytest.mark.django_db

PAGE = "/billing/spending"
OFF = "/billing/spending/off"


def cap_of(person: PersonClient) -> Money | None:
    return selectors.spend_cap(person.customer).cap


def use(person: PersonClient, whole_credits: int, key: str = "use") -> None:
    give(person.customer, whole_credits * ONE)
    wallet = ledger.wallet(person.customer, CREDIT)
    ledger.spend(wallet, whole_credits * ONE, code=Code.USAGE, key=key, occurred_at=clock.now())


def cap(person: PersonClient, whole_credits: int) -> None:
    spend_caps.set_cap(person.customer, Money(whole_credits * ONE, CREDIT), by=person.user)


def test_without_a_cap_it_shows_the_month_and_a_form(client: PersonClient) -> None:
    use(client, 120)

    page = said(client.get(PAGE))

    assert "No cap" in page
    assert "120 credits" in page
    assert "Set a cap" in page
    assert "500 credits are worth $1.00" in page
    assert "Switch it off" not in page


def test_setting_it_shows_use_reset_and_worth(client: PersonClient) -> None:
    use(client, 120)

    answer = client.post(PAGE, {"cap": "500"}, follow=True)

    page = said(answer)
    assert answer.redirect_chain == [(PAGE, 303)]
    assert "The spend cap is 500 credits a month." in page
    assert "120 credits of 500 credits" in page
    assert "Left 380 credits" in page
    assert "The cap is worth $1.00" in page
    resets_at = selectors.spend_cap(client.customer).resets_at
    assert f"Counts anew on {date_format(resets_at)}" in page


def test_a_cap_below_what_is_used_is_set_and_said_so(client: PersonClient) -> None:
    use(client, 120)

    page = said(client.post(PAGE, {"cap": "12.5"}, follow=True))

    assert "That much is used already: nothing more can be spent." in page
    assert "Cap reached" in page
    assert cap_of(client) == Money(12_500_000, CREDIT)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "This field is required."),
        ("many", "Enter a number."),
        ("-1", "Choose an amount from 0 credits to 1,000,000,000 credits."),
        ("1000000001", "Choose an amount from 0 credits to 1,000,000,000 credits."),
        ("9" * 30, "Ensure that there are no more than 20 digits in total."),
        ("NaN", "Enter a number."),
        ("1.0000001", "Credits have 6 decimals at most."),
    ],
)
def test_bad_amounts_are_refused_beside_the_field(
    client: PersonClient, typed: str, sentence: str
) -> None:
    cap(client, 700)

    answer = client.post(PAGE, {"cap": typed})

    assert answer.status_code == 400
    assert sentence in said(answer)
    assert 'aria-invalid="true"' in text_of(answer)
    assert cap_of(client) == Money(700 * ONE, CREDIT)


def test_switching_it_off_asks_first(client: PersonClient) -> None:
    cap(client, 700)

    asked = said(client.get(OFF))
    assert "Switch the spend cap off?" in asked
    assert cap_of(client) is not None

    page = said(client.post(OFF, follow=True))
    assert "The spend cap is off." in page
    assert cap_of(client) is None
    assert client.get(OFF).status_code == 303


def test_what_is_nearly_reached_is_said_there_and_on_other_pages(client: PersonClient) -> None:
    cap(client, 500)
    use(client, 410)

    assert "82 % of the cap are used." in said(client.get(PAGE))
    page = said(client.get("/billing/"))
    assert "Your monthly spend cap is nearly reached." in page
    assert "410 credits of 500 credits are used." in page


def test_a_reached_cap_is_told_on_every_page_with_what_helps(client: PersonClient) -> None:
    cap(client, 500)
    use(client, 500)

    page = client.get("/billing/transactions")

    assert "Your monthly spend cap is reached." in said(page)
    assert 'href="/billing/upgrade?reason=spend_cap"' in text_of(page)
    assert 'id="upgrade-dialog"' in text_of(page)
    # The page of the cap says it itself.
    assert 'id="notice-spend_cap"' not in text_of(client.get(PAGE))


def test_enough_room_is_no_news(client: PersonClient) -> None:
    cap(client, 500)
    use(client, 399)

    assert "notice-spend_cap" not in text_of(client.get("/billing/"))


def test_held_credits_and_months_before_are_shown(client: PersonClient) -> None:
    cap(client, 500)
    use(client, 200)

    page = said(client.get(PAGE))

    assert "The last months" in page
    assert "Of today's cap" in page
    assert "40 %" in page


def test_a_member_who_only_looks_sees_it_and_cannot_change_it() -> None:
    looking, team = member_who_only_looks()
    spend_caps.set_cap(team, Money(500 * ONE, CREDIT), by=None)

    page = said(looking.get(PAGE))

    assert "0 credits of 500 credits" in page
    assert "Save the cap" not in page
    assert looking.post(PAGE, {"cap": "9000"}).status_code == 403
    assert looking.get(OFF).status_code == 403
    assert looking.post(OFF).status_code == 403
    assert selectors.spend_cap(team).cap == Money(500 * ONE, CREDIT)


def test_a_billing_member_sets_it_for_the_team() -> None:
    team = make_team(make_person())
    payer = signed_in(join(team, Membership.Role.BILLING))
    session = payer.session
    session[SESSION_KEY] = str(team.pk)
    session.save()

    payer.post(PAGE, {"cap": "500"})

    assert selectors.spend_cap(team).cap == Money(500 * ONE, CREDIT)
    assert cap_of(payer) is None


def test_staff_see_the_cap_and_what_is_used(client: PersonClient) -> None:
    cap(client, 500)
    use(client, 120)
    staff = sign_in()

    page = said(staff.get(f"/admin/accounts/customer/{client.customer.pk}/change/"))

    assert "Spend cap: 120 credits of 500 credits used until" in page
