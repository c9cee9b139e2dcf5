"""The plans page: what is offered to whom, and what choosing it does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from billing import catalogue
from billing.models import Order
from billing.services import cancellations, plan_changes, rails
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import member_who_only_looks, text_of
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.subscribers import said, subscribe

pytestmark = pytest.mark.django_db

PATH = "/billing/plans"


@pytest.fixture
def person(renewing_rail: FakeRenewingRail) -> PersonClient:
    """The browser of a new person, on a portal whose rail renews."""
    return signed_in()


def card(response: Any, slug: str) -> str:
    """The card of one plan."""
    found = re.search(rf'<section [^>]*id="plan-{slug}".*?</section>', text_of(response), re.DOTALL)
    assert found, f"no card of {slug}"
    return found[0]


@pytest.fixture
def with_trial() -> Iterator[None]:
    """Premium begins with two weeks for free, and comes with credits."""
    told = {"PREMIUM_TRIAL_DAYS": "14", "PREMIUM_INCLUDED_CREDITS": "2500"}
    with override_settings(CATALOGUE=catalogue.load(told)):
        yield


def test_somebody_new_sees_every_plan_with_its_monthly_price(person: PersonClient) -> None:
    page = person.get(PATH)

    assert page.status_code == 200
    assert "Your plan" in card(page, "free")
    assert "$29.99" in card(page, "basic")
    assert "50,000" in card(page, "premium")
    assert "Unlimited" in card(page, "enterprise")
    assert 'id="buy-premium-month-card"' in card(page, "premium")
    assert "Saves" not in card(page, "premium")


def test_the_yearly_prices_need_no_script_and_say_what_they_save(person: PersonClient) -> None:
    page = person.get(PATH, {"interval": "year"})

    assert "$999.99" in card(page, "premium")
    assert "Saves $199.89 a year" in card(page, "premium")
    assert "Yearly, save 16%" in said(page)
    assert 'id="buy-premium-year-card"' in card(page, "premium")


@pytest.mark.parametrize("interval", ["", "week", "30d", "<script>", "\x00"])
def test_an_interval_that_is_none_shows_months(person: PersonClient, interval: str) -> None:
    page = person.get(PATH, {"interval": interval})

    assert page.status_code == 200
    assert "per month" in said(page)


def test_choosing_a_plan_goes_to_its_pay_page(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    response = person.post(PATH, {"plan": "premium", "interval": "year", "rail": "card"})

    order = Order.objects.get(customer=person.customer)
    assert response.status_code == 303
    assert response["Location"] == f"https://pay.example.com/{order.pk}"
    assert (order.product_slug, order.snapshot["interval"]) == ("premium", "year")
    assert (order.placed_by, order.subtotal_minor) == (person.user, 999_99)


def test_a_second_click_goes_on_with_the_first_order(person: PersonClient) -> None:
    wanted = {"plan": "premium", "interval": "year", "rail": "card"}

    first, second = person.post(PATH, wanted), person.post(PATH, wanted)

    assert first["Location"] == second["Location"]
    assert Order.objects.count() == 1
    person.post(PATH, wanted | {"plan": "basic"})
    assert Order.objects.count() == 2


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"plan": "platinum"}, 400),
        ({"plan": "free"}, 400),
        ({"interval": "week"}, 400),
        ({"interval": "30d"}, 400),
        ({"rail": "barter"}, 400),
        ({"plan": "", "interval": "", "rail": ""}, 400),
    ],
)
def test_what_is_not_sold_is_refused_on_the_page(
    person: PersonClient, wrong: dict[str, str], status: int
) -> None:
    page = person.post(PATH, {"plan": "basic", "interval": "month", "rail": "card"} | wrong)

    assert page.status_code == status
    assert 'role="alert"' in text_of(page)
    assert Order.objects.count() == 0


def test_a_second_subscription_is_refused(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)

    page = person.post(PATH, {"plan": "premium", "interval": "month", "rail": "card"})

    assert page.status_code == 409
    assert "There is a subscription already." in said(page)
    assert Order.objects.count() == 1


def test_a_provider_out_of_reach_keeps_the_order(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.down = True

    response = person.post(
        PATH, {"plan": "basic", "interval": "month", "rail": "card"}, follow=True
    )

    assert "cannot be reached" in said(response)
    assert Order.objects.get().is_open


def test_with_a_subscription_the_others_are_up_or_down(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail, "premium")

    page = person.get(PATH)

    assert "Downgrade to Basic" in card(page, "basic")
    assert "Your plan" in card(page, "premium")
    assert "Upgrade to Enterprise" in card(page, "enterprise")
    assert "/billing/subscription/change?plan=enterprise&amp;interval=month" in text_of(page)
    assert '<button type="submit" name="rail"' not in text_of(page)
    by_year = person.get(PATH, {"interval": "year"})
    assert "Pay per year" in card(by_year, "premium")


def test_the_switch_stands_where_the_customer_pays(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail, "basic", "year")

    page = person.get(PATH)

    assert "$299.99" in card(page, "basic")
    assert "Your plan" in card(page, "basic")


def test_what_was_chosen_for_later_is_said(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail, "premium")
    quote = plan_changes.quote(person.customer, "basic", "month")
    plan_changes.confirm(person.customer, quote.token, placed_by=None)

    page = person.get(PATH)

    assert "Begins when the current period ends" in card(page, "basic")
    assert "Changes to Basic, per month, on" in said(page)


def test_while_a_payment_is_due_nothing_can_be_changed(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.fail(subscribe(person, renewing_rail))

    page = person.get(PATH)

    assert "Upgrade to" not in said(page)
    assert 'id="notice-past_due"' in text_of(page)


def test_what_is_set_to_end_is_resumed_before_it_changes(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail)
    cancellations.cancel(person.customer)

    page = person.get(PATH)

    assert "Resume it to change the plan." in said(page)
    assert "Upgrade to" not in said(page)


def test_a_trial_is_offered_once(
    person: PersonClient, renewing_rail: FakeRenewingRail, with_trial: None
) -> None:
    assert "14 days free first" in card(person.get(PATH), "premium")
    assert "2,500 credits with each month" in card(person.get(PATH), "premium")
    renewing_rail.delete(subscribe(person, renewing_rail))

    assert "free first" not in card(person.get(PATH), "premium")


def test_a_rail_that_does_not_renew_sells_time(person: PersonClient) -> None:
    with only_rail(FakeRail()):
        page = person.get(PATH)
        person.post(PATH, {"plan": "basic", "interval": "month", "rail": "card"})

    assert "Buy one month for $29.99" in card(page, "basic").replace("\n", " ")
    assert Order.objects.get().recurring is None


def test_without_a_way_to_pay_the_page_says_so(person: PersonClient) -> None:
    with only_rail(FakeRail()):
        rails.clear()
        page = person.get(PATH)

    assert page.status_code == 200
    assert "No plan can be bought here at the moment." in said(page)


def test_a_member_who_only_looks_has_no_buttons(renewing_rail: FakeRenewingRail) -> None:
    looking, _team = member_who_only_looks()

    page = looking.get(PATH)
    refused = looking.post(PATH, {"plan": "basic", "interval": "month", "rail": "card"})

    assert "Owners and billing members can change the plan." in said(page)
    assert 'type="submit" name="rail"' not in text_of(page)
    assert refused.status_code == 403
    assert Order.objects.count() == 0


def test_the_page_takes_few_queries(person: PersonClient, renewing_rail: FakeRenewingRail) -> None:
    subscribe(person, renewing_rail)

    with CaptureQueriesContext(connection) as seen:
        person.get(PATH)

    assert len(seen) <= 12


def test_after_the_end_everything_is_for_sale_again(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(clock.now()) as frozen:
        subscription = subscribe(person, renewing_rail)
        cancellations.cancel(person.customer)
        frozen.at = subscription.period_ends_at + timedelta(seconds=1)
        page = person.get(PATH)

    assert 'id="buy-basic-month-card"' in card(page, "basic")
    assert "Your plan" in card(page, "free")


def test_the_studio_catalogue_has_two_plans(person: PersonClient) -> None:
    with override_settings(CATALOGUE=catalogue.load({"CATALOGUE": "studio"})):
        page = person.get(PATH)

    assert "$5.00" in card(page, "premium")
    assert 'id="plan-enterprise"' not in text_of(page)
    assert 'id="per-year"' not in text_of(page)


def test_no_page_carries_a_script_of_its_own(person: PersonClient) -> None:
    assert re.findall(r"<script(?![^>]* src=)", text_of(person.get(PATH))) == []
    assert settings.CATALOGUE.plans[0].slug == "free"
