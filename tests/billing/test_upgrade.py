"""Where a limit is in the way: what is said, what is offered, and to whom."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client, override_settings

from accounts.middleware import SESSION_KEY
from accounts.models import Membership
from billing import catalogue, ledger
from billing.errors import LimitReached, NotInPlan
from billing.models import Order
from billing.money import CREDIT, Money
from billing.plans import Limit
from billing.rails.wallet.rail import WalletRail
from billing.selectors.entitlements import register
from billing.services import entitlements, rails, spend_caps
from common import clock
from tests.accounts.factories import PersonClient, join, make_person, make_team, signed_in
from tests.billing.callers import member_who_only_looks, text_of
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import ONE, give, ordered
from tests.billing.staff import sign_in
from tests.billing.subscribers import said, subscribe
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

PAGE = "/billing/upgrade"
REASONS = [
    *Limit.values, "credits", "debt", "spend_cap", "payment_failed", "role", "feature:webhooks",
    "feature:none", "feature:", "plan", "", "no such thing", "x" * 500, "<script>",
]  # fmt: skip


@pytest.fixture
def person(renewing_rail: FakeRenewingRail) -> PersonClient:
    """The browser of a new person, on a portal whose rail renews."""
    return signed_in()


def ask(person: PersonClient, reason: str, **query: str) -> Any:
    return person.get(PAGE, {"reason": reason, **query})


def offered_plans(page: Any) -> list[str]:
    """The slugs of the plans that can be had, in the order shown."""
    return re.findall(r'id="(?:buy|change)-(\w+)-', text_of(page))


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_an_answer(person: PersonClient, reason: str) -> None:
    page = ask(person, reason)

    assert page.status_code == 200
    assert "<h1" in text_of(page)
    assert "<script>" not in text_of(page).split("<main")[1].split("</main")[0]


@pytest.mark.parametrize("need", ["", "-1", "x", "1.5", "9" * 400, "٣", "99999999999999999"])
def test_a_need_that_is_no_amount_is_ignored(person: PersonClient, need: str) -> None:
    page = ask(person, "credits", need=need)

    assert page.status_code == 200
    assert "Missing" not in said(page)


# -- limits of plans ------------------------------------------------------------------------------


def test_only_plans_that_raise_the_limit_are_offered_cheapest_first(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    free = ask(person, "projects")
    subscribe(person, renewing_rail, "basic")
    basic = ask(person, "projects")

    assert offered_plans(free) == ["basic", "premium", "enterprise"]
    assert "3 instead of 1" in said(free)
    assert offered_plans(basic) == ["premium", "enterprise"]
    assert "5 instead of 3" in said(basic)
    assert "unlimited instead of 3" in said(basic)
    assert "Your plan Basic" in said(basic)


def test_a_plan_that_gives_no_more_of_it_is_not_offered(person: PersonClient) -> None:
    plans = catalogue.load({"BASIC_MAX_PROJECTS": "1", "PREMIUM_MAX_PROJECTS": "0"})

    with override_settings(CATALOGUE=plans):
        assert offered_plans(ask(person, "projects")) == ["enterprise"]
        assert offered_plans(ask(person, "deploys")) == ["basic", "premium", "enterprise"]


def test_cheapest_goes_by_price_and_not_by_rank(person: PersonClient) -> None:
    plans = catalogue.load({"BASIC_SUBSCRIPTION_PRICE": "199.99"})

    with override_settings(CATALOGUE=plans):
        assert offered_plans(ask(person, "tokens")) == ["premium", "basic", "enterprise"]


def test_what_is_added_to_the_plan_counts_with_every_plan(person: PersonClient) -> None:
    register("test slots", lambda customer: {"deploys": 10})
    try:
        page = said(ask(person, "deploys"))
    finally:
        register("test slots", lambda customer: {})

    assert "Deployments 11" in page
    assert "13 instead of 11" in page


def test_who_has_no_limit_is_told_so(person: PersonClient, renewing_rail: FakeRenewingRail) -> None:
    subscribe(person, renewing_rail, "enterprise")

    page = ask(person, "tokens")

    assert "There is no limit" in said(page)
    assert offered_plans(page) == []


def test_one_click_orders_the_plan(person: PersonClient, renewing_rail: FakeRenewingRail) -> None:
    page = text_of(ask(person, "requests"))
    assert re.search(
        r'<form method="post" action="/billing/plans">.*?name="plan" value="basic"', page, re.DOTALL
    )

    answer = person.post("/billing/plans", {"plan": "basic", "interval": "month", "rail": "card"})

    assert answer.status_code == 303
    assert Order.objects.get().product_slug == "basic"


def test_a_subscriber_is_led_to_the_quote(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail, "basic", "year")

    page = text_of(ask(person, "requests"))

    assert 'href="/billing/subscription/change?plan=premium&amp;interval=year"' in page
    assert "interval=month" not in page


def test_a_feature_is_offered_by_the_plans_that_have_it(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    page = ask(person, "feature:webhooks")
    assert "Not in your plan: Webhooks" in said(page)
    assert offered_plans(page) == ["premium", "enterprise"]

    subscribe(person, renewing_rail, "premium")
    assert "Your plan has this already." in said(ask(person, "feature:webhooks"))


# -- credits, debt, cap, payment ------------------------------------------------------------------


def test_packages_say_whether_they_cover_what_is_missing(person: PersonClient) -> None:
    page = text_of(ask(person, "credits", need=str(4_000 * ONE)))

    assert "4,000 credits" in said(ask(person, "credits", need=str(4_000 * ONE)))
    assert page.count("Not enough for this by itself") == 1
    assert re.findall(r'package" value="(\w+)"', page) == ["small", "medium", "large"]


def test_one_click_orders_the_package(person: PersonClient) -> None:
    answer = person.post("/billing/buy", {"package": "medium", "rail": "card"})

    assert answer.status_code == 303
    assert Order.objects.get().product_slug == "medium"


def test_who_owes_is_told_how_much(person: PersonClient) -> None:
    wallet = ledger.wallet(person.customer, CREDIT)
    ledger.claw_back(wallet, 3_000 * ONE, key="k", group="g", occurred_at=clock.now())

    page = said(ask(person, "debt"))

    assert "Owed 3,000 credits" in page
    assert "Not enough for this by itself" in page


def test_a_cap_offers_higher_caps_and_not_credits(person: PersonClient) -> None:
    give(person.customer, 1_000 * ONE)
    spend_caps.set_cap(person.customer, Money(500 * ONE, CREDIT), by=None)
    wallet = ledger.wallet(person.customer, CREDIT)
    ledger.spend(wallet, 500 * ONE, code="usage", key="k", occurred_at=clock.now())

    page = text_of(ask(person, "spend_cap"))

    assert "Your monthly spend cap is reached" in page
    assert "Raise the cap to 630 credits" in page
    assert "Raise the cap to 1,000 credits" in page
    assert "Switch the cap off" in page
    assert "/billing/buy" not in page.split("<main")[1].split("</main")[0]


def test_one_click_raises_the_cap(person: PersonClient) -> None:
    spend_caps.set_cap(person.customer, Money(500 * ONE, CREDIT), by=None)
    page = text_of(ask(person, "spend_cap", need=str(7_250 * ONE)))
    (first, second) = re.findall(r'name="cap" value="([^"]+)"', page)

    page = said(person.post("/billing/spending", {"cap": first}, follow=True))

    assert (first, second) == ("9700", "16000")
    assert "The spend cap is 9,700 credits a month." in page


def test_a_failed_payment_is_fixed_at_the_provider(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    assert "No payment is due" in said(ask(person, "payment_failed"))
    row = subscribe(person, renewing_rail, "basic")
    renewing_rail.fail(row)

    page = text_of(ask(person, "payment_failed"))

    assert "The payment for Basic failed" in page
    assert 'action="/billing/subscription/portal"' in page


# -- who asks -------------------------------------------------------------------------------------


def test_who_may_not_pay_is_told_whom_to_ask(renewing_rail: FakeRenewingRail) -> None:
    owner = make_person(name="Olive Owner")
    team = make_team(owner)
    looking = signed_in(join(team, Membership.Role.MEMBER))
    session = looking.session
    session[SESSION_KEY] = str(team.pk)
    session.save()

    page = ask(looking, "requests")

    assert "Ask the owner: Olive Owner." in said(page)
    assert offered_plans(page) == []
    assert "<form" not in text_of(page).split("<main")[1].split("</main")[0]


def test_htmx_gets_the_options_alone(person: PersonClient) -> None:
    page = person.get(PAGE, {"reason": "requests"}, headers={"HX-Request": "true"})

    assert offered_plans(page) == ["basic", "premium", "enterprise"]
    assert "<html" not in text_of(page)


def test_it_is_for_people_who_are_signed_in(person: PersonClient) -> None:
    person.logout()

    assert ask(person, "requests").status_code == 302


# -- refusals -------------------------------------------------------------------------------------


def test_a_role_that_may_not_is_told_whom_to_ask() -> None:
    looking, _team = member_who_only_looks()

    page = looking.get("/billing/buy")

    assert page.status_code == 403
    assert "Your role does not allow this" in said(page)
    assert "Ask the owner:" in said(page)


def test_a_refused_payment_from_credits_offers_credits(person: PersonClient) -> None:
    rails.register(WalletRail())
    try:
        give(person.customer, 10_000 * ONE)
        order = ordered(person.customer)
        page = person.get(f"/billing/orders/{order.pk}/wallet")
    finally:
        rails._RAILS.pop("wallet")

    assert "Missing 4,995 credits" in said(page)
    assert re.findall(r'package" value="(\w+)"', text_of(page)) == ["small", "medium", "large"]
    assert text_of(page).count("Not enough for this by itself") == 1


def test_require_names_the_feature_that_is_missing() -> None:
    with pytest.raises(NotInPlan) as refused:
        entitlements.require(make_customer(), "webhooks")

    refusal = refused.value
    assert (refusal.code, refusal.status) == ("not_in_plan", 403)
    assert refusal.upgrade_path == "/billing/upgrade?reason=feature%3Awebhooks"


@pytest.mark.parametrize(("used", "wanted"), [(99, 1), (0, 100), (100, 0)])
def test_there_is_room_up_to_the_limit(used: int, wanted: int) -> None:
    entitlements.require_room(make_customer(), "requests", used=used, wanted=wanted)


@pytest.mark.parametrize(("used", "wanted"), [(100, 1), (99, 2), (0, 101), (150, 1)])
def test_beyond_the_limit_it_refuses_with_figures(used: int, wanted: int) -> None:
    customer = make_customer()

    with pytest.raises(LimitReached) as refused:
        entitlements.require_room(customer, "requests", used=used, wanted=wanted)

    refusal = refused.value
    assert (refusal.code, refusal.status, refusal.reason) == ("limit_reached", 402, "requests")
    assert (refusal.used, refusal.allowed, refusal.wanted) == (used, 100, wanted)
    assert refusal.missing == used + wanted - 100
    assert refusal.resets_at is not None
    assert "Requests a month" in str(refusal)


def test_a_limit_that_does_not_count_by_months_has_no_reset() -> None:
    with pytest.raises(LimitReached) as refused:
        entitlements.require_room(make_customer(), "projects", used=1)

    assert refused.value.resets_at is None
    assert "resets_at" not in refused.value.details


def test_what_is_unlimited_always_has_room(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    subscribe(person, renewing_rail, "enterprise")

    entitlements.require_room(person.customer, "tokens", used=10**15)


def test_a_limit_that_nobody_gave_has_no_room() -> None:
    with pytest.raises(LimitReached):
        entitlements.require_room(make_customer(), "no such limit", used=0)


# -- pages that run into a limit ------------------------------------------------------------------


@pytest.mark.urls("tests.billing.refusing")
def test_a_page_that_runs_into_a_limit_answers_with_what_helps(person: PersonClient) -> None:
    page = person.get("/refusing/deploying")

    assert page.status_code == 402
    assert "The limit of your plan is reached: Deployments, 1 of 1." in said(page)
    assert "Used 1" in said(page)
    assert offered_plans(page) == ["basic", "premium", "enterprise"]


@pytest.mark.urls("tests.billing.refusing")
def test_a_page_of_a_feature_answers_with_the_plans_that_have_it(person: PersonClient) -> None:
    page = person.get("/refusing/hooking")

    assert page.status_code == 403
    assert offered_plans(page) == ["premium", "enterprise"]


@pytest.mark.urls("tests.billing.refusing")
@pytest.mark.django_db(transaction=True)
def test_a_page_that_spends_too_much_names_what_is_missing(person: PersonClient) -> None:
    give(person.customer, 3 * ONE)

    page = person.get("/refusing/spending")

    assert page.status_code == 402
    assert "Missing 4 credits" in said(page)


@pytest.mark.urls("tests.billing.refusing")
def test_htmx_is_sent_to_the_page(person: PersonClient) -> None:
    answer = person.get("/refusing/deploying", headers={"HX-Request": "true"})

    assert answer.status_code == 402
    assert answer["HX-Redirect"] == "/billing/upgrade?reason=deploys"


@pytest.mark.urls("tests.billing.refusing")
def test_who_has_no_customer_gets_the_plain_page(db: None) -> None:
    for client in (Client(), sign_in()):
        page = client.get("/refusing/anybody")

        assert page.status_code == 402
        assert "A limit is reached." in said(page)
