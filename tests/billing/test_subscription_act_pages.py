"""Acting on the subscription: changing it, ending it, going on with it, the provider's page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing.models import Payment, Subscription
from billing.services import plan_changes
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import text_of
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.subscribers import hidden, said, subscribe, value_of
from tests.factories import NOW

pytestmark = pytest.mark.django_db

HOME = "/billing/subscription"
CHANGE = f"{HOME}/change"
CANCEL = f"{HOME}/cancel"
RESUME = f"{HOME}/resume"
PORTAL = f"{HOME}/portal"
UP = {"plan": "premium", "interval": "month"}


@pytest.fixture
def person(renewing_rail: FakeRenewingRail) -> PersonClient:
    """The browser of a new person, on a portal whose rail renews."""
    return signed_in()


# -- changing the plan ----------------------------------------------------------------------------


def test_the_preview_is_to_the_cent_what_is_charged(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.tax_bps = 8_25
    with clock.frozen(NOW) as frozen:
        subscribe(person, renewing_rail)
        frozen.move(timedelta(days=11, hours=5))
        page = person.get(CHANGE, UP)
        shown = value_of(page, "quote-total")
        done = person.post(CHANGE, UP | {"token": hidden(page, "token")}, follow=True)

    paid = Payment.objects.order_by("pk").last()
    assert paid is not None
    assert shown == str(paid.amount)
    assert "Unused time on basic" in said(page)
    assert value_of(page, "quote-tax") == f"${paid.tax_minor // 100}.{paid.tax_minor % 100:02}"
    assert value_of(page, "quote-next-price") == "$99.99"
    assert value_of(page, "confirm-change") == f"Confirm and pay {shown}"
    assert "Requests a month: 50,000 instead of 5,000" in said(page)
    assert "You have Premium now. Renews on 20 Dec 2026 for $99.99." in said(done)


def test_confirming_twice_charges_once(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)
    token = hidden(person.get(CHANGE, UP), "token")

    for _ in range(2):
        assert person.post(CHANGE, UP | {"token": token}).status_code == 303

    assert Payment.objects.count() == 2


def test_a_smaller_plan_begins_when_the_period_ends(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    down = {"plan": "basic", "interval": "month"}
    with clock.frozen(NOW):
        subscribe(person, renewing_rail, "premium")
        page = person.get(CHANGE, down)
        done = person.post(CHANGE, down | {"token": hidden(page, "token")}, follow=True)
        kept = person.post(RESUME, follow=True)

    assert value_of(page, "quote-total") == "$0.00"
    assert "on 20 Dec 2026" in said(page)
    assert "Requests a month: 5,000 instead of 50,000" in said(page)
    assert "Webhooks" in said(page)
    assert value_of(done, "next-step") == "Changes to Basic, per month, on 20 Dec 2026, for $29.99."
    assert 'id="keep-plan"' in text_of(done)
    assert value_of(kept, "next-step") == "Renews on 20 Dec 2026 for $99.99."
    assert Payment.objects.count() == 1


def test_a_stale_quote_shows_the_page_anew(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW) as frozen:
        subscribe(person, renewing_rail)
        before = person.get(CHANGE, UP)
        frozen.move(plan_changes.QUOTE_LASTS + timedelta(seconds=1))
        page = person.post(CHANGE, UP | {"token": hidden(before, "token")})

    assert page.status_code == 409
    assert "The amount shown is out of date." in value_of(page, "refusal")
    assert hidden(page, "token") != hidden(before, "token")
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("token", ["", "made-up", "a:b:c", "\x00"])
def test_a_made_up_token_changes_nothing(
    person: PersonClient, renewing_rail: FakeRenewingRail, token: str
) -> None:
    subscribe(person, renewing_rail)

    page = person.post(CHANGE, UP | {"token": token})

    assert page.status_code == 409
    assert Subscription.objects.get().plan_slug == "basic"


def test_a_token_of_another_plan_or_customer_changes_nothing(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)
    other = signed_in()
    subscribe(other, renewing_rail)
    token = hidden(person.get(CHANGE, UP), "token")

    assert person.post(CHANGE, UP | {"plan": "enterprise", "token": token}).status_code == 409
    assert other.post(CHANGE, UP | {"token": token}).status_code == 409
    assert {one.plan_slug for one in Subscription.objects.all()} == {"basic"}


def test_a_declined_card_changes_nothing_and_says_what_to_do(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)
    token = hidden(person.get(CHANGE, UP), "token")
    renewing_rail.declines = True

    page = person.post(CHANGE, UP | {"token": token})

    assert page.status_code == 402
    assert "declined and nothing was changed" in value_of(page, "refusal")
    assert 'id="update-card"' in text_of(page)
    assert hidden(page, "back") == f"{CHANGE}?plan=premium&interval=month"
    renewing_rail.declines = False
    person.post(CHANGE, UP | {"token": hidden(page, "token")})
    assert Subscription.objects.get().plan_slug == "premium"


def test_a_provider_out_of_reach_goes_on_with_the_same_quote(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)
    token = hidden(person.get(CHANGE, UP), "token")
    renewing_rail.down = True

    page = person.post(CHANGE, UP | {"token": token})
    asked = person.get(CHANGE, UP)

    assert (page.status_code, asked.status_code) == (503, 503)
    assert hidden(page, "token") == token
    assert "only once" in said(page)
    renewing_rail.down = False
    assert person.post(CHANGE, UP | {"token": hidden(page, "token")}).status_code == 303
    assert Payment.objects.count() == 2


@pytest.mark.parametrize(
    ("wanted", "status", "sentence"),
    [
        ({"plan": "basic", "interval": "month"}, 409, "That is the plan you have."),
        ({"plan": "platinum", "interval": "month"}, 400, "There is no such plan."),
        ({"plan": "premium", "interval": "week"}, 400, "This plan is not sold that way."),
        ({"plan": "free", "interval": "month"}, 400, "The free plan is not bought"),
        ({"plan": "<b>&x=1", "interval": "month"}, 400, "There is no such plan."),
        ({}, 400, "There is no such plan."),
    ],
)
def test_a_change_that_cannot_be_is_refused_on_the_page(
    person: PersonClient,
    renewing_rail: FakeRenewingRail,
    wanted: dict[str, str],
    status: int,
    sentence: str,
) -> None:
    subscribe(person, renewing_rail)

    page = person.get(CHANGE, wanted)

    assert page.status_code == status
    assert sentence in value_of(page, "refusal")
    assert "<b>" not in text_of(page)


def test_a_failing_one_cannot_be_changed(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.fail(subscribe(person, renewing_rail))

    page = person.get(CHANGE, UP)

    assert page.status_code == 409
    assert "Pay what is due first" in value_of(page, "refusal")


def test_without_a_subscription_a_change_leads_to_the_plans(person: PersonClient) -> None:
    response = person.get(CHANGE, UP, follow=True)

    assert response.redirect_chain == [("/billing/plans", 302)]
    assert "Choose a plan first." in said(response)


# -- ending it and going on with it ---------------------------------------------------------------


def test_cancelling_says_what_is_lost_and_when_and_can_be_taken_back(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW):
        subscribe(person, renewing_rail)
        asked = person.get(CANCEL)
        done = person.post(CANCEL, follow=True)
        again = person.post(CANCEL, follow=True)
        back = person.post(RESUME, follow=True)

    assert "until 20 Dec 2026" in said(asked)
    assert "Projects: 1 instead of 3" in value_of(asked, "lost")
    assert "Basic is cancelled. Ends on 20 Dec 2026. Nothing more will be charged." in said(done)
    assert 'id="resume"' in text_of(done)
    assert "Ends on 20 Dec 2026." in said(again)
    assert "You keep Basic. Renews on 20 Dec 2026 for $29.99." in said(back)
    assert [name for name, _ in renewing_rail.calls] == ["cancel_at_period_end", "resume"]


def test_what_the_provider_cannot_do_now_is_said(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)
    renewing_rail.down = True

    refused = person.post(CANCEL)
    resumed = person.post(RESUME, follow=True)

    assert refused.status_code == 503
    assert "cannot be reached" in value_of(refused, "refusal")
    assert Subscription.objects.get().cancels_at is None
    assert resumed.status_code == 200


def test_nobody_cancels_what_is_not_theirs(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    other = subscribe(signed_in(), renewing_rail)

    for named in (str(other.pk), "made-up", "\x00"):
        assert person.post(CANCEL, {"subscription": named}).status_code == 404
    assert person.get(CANCEL).status_code == 404
    assert "There is no subscription." in said(person.post(RESUME, follow=True))
    assert Subscription.objects.get().cancels_at is None


@pytest.mark.parametrize("path", [RESUME, PORTAL])
def test_looking_changes_nothing(person: PersonClient, path: str) -> None:
    assert person.get(path).status_code == 405


# -- the provider's page --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("back", "leads_to"),
    [
        ("", HOME),
        ("/billing/plans", "/billing/plans"),
        ("//evil.example.com", HOME),
        ("https://evil.example.com/", HOME),
        ("javascript:alert(1)", HOME),
    ],
)
def test_the_providers_page_leads_back_to_ours(
    person: PersonClient, renewing_rail: FakeRenewingRail, back: str, leads_to: str
) -> None:
    response = person.post(PORTAL, {"back": back})

    assert response.status_code == 303
    assert response["Location"] == renewing_rail.portal_url
    assert renewing_rail.calls[-1][1].endswith(leads_to)
    assert "evil" not in renewing_rail.calls[-1][1]


def test_without_such_a_page_it_says_so(person: PersonClient) -> None:
    with only_rail(FakeRail()):
        response = person.post(PORTAL, follow=True)
        shown = person.get(HOME)

    assert "no page of a payment provider" in said(response)
    assert 'id="manage-cards"' not in text_of(shown)
