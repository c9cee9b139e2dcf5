"""The subscription's pages: how it stands, and what the pages around it say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from billing import catalogue
from billing.models import Order, Payment, Subscription, SubscriptionStatus
from billing.services import cancellations, dunning, refunds, subscriptions
from common import clock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import member_who_only_looks, text_of
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.subscribers import said, subscribe, subscribe_twice, value_of
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


# -- how it stands --------------------------------------------------------------------------------


def test_without_a_subscription_the_pages_lead_to_the_plans(person: PersonClient) -> None:
    for page in (person.get(HOME), person.get("/billing/")):
        assert page.status_code == 200
        assert "Free" in said(page)
        assert 'href="/billing/plans" id="see-plans"' in text_of(page)
    assert "Each period of a plan will be listed here" in said(person.get(HOME))
    assert 'id="manage-cards"' not in text_of(person.get(HOME))


def test_the_card_says_what_happens_next_and_when(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW):
        subscribe(person, renewing_rail)
        for page in (person.get(HOME), person.get("/billing/")):
            assert value_of(page, "next-step") == "Renews on 20 Dec 2026 for $29.99."
            assert "$29.99 per month" in said(page)
            assert "Active" in said(page)


def test_days_are_the_customers_own(person: PersonClient, renewing_rail: FakeRenewingRail) -> None:
    person.customer.time_zone = "Pacific/Auckland"
    person.customer.save(update_fields=["time_zone"])
    with clock.frozen(NOW):
        subscribe(person, renewing_rail)
        page = person.get(HOME)

    assert value_of(page, "next-step") == "Renews on 21 Dec 2026 for $29.99."


def test_a_trial_says_until_when_it_is_free(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    sold = catalogue.load({"BASIC_TRIAL_DAYS": "14"})
    with override_settings(CATALOGUE=sold), clock.frozen(NOW):
        subscribe(person, renewing_rail)
        page = person.get(HOME)
        leaving = person.get(CANCEL)

    assert value_of(page, "next-step") == "Free until 4 Dec 2026, then $29.99 per month."
    assert "Free trial" in value_of(page, "history")
    assert "until 4 Dec 2026, the end of the trial" in said(leaving)


def test_each_period_is_listed_with_its_receipt(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.tax_bps = 19_00
    with clock.frozen(NOW) as frozen:
        subscription = subscribe(person, renewing_rail)
        frozen.at = subscription.period_ends_at
        renewing_rail.renew(subscription)
        page = person.get(HOME)

    rows = value_of(page, "history")
    assert rows.index("20 Dec 2026 to 20 Jan 2027") < rows.index("20 Nov 2026 to 20 Dec 2026")
    assert rows.count("$35.69") == 2
    for payment in Payment.objects.all():
        assert f"/billing/payments/{payment.pk}/receipt" in text_of(page)


def test_a_long_history_goes_on_on_the_next_page(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribe(person, renewing_rail)
        for _ in range(13):
            frozen.at = subscription.period_ends_at
            subscription = renewing_rail.renew(subscription)
        page = person.get(HOME)
        cursor = re.findall(r"cursor=([\w-]+)", text_of(page))
        older = person.get(HOME, {"cursor": cursor[0]})

    assert text_of(page).count("Receipt<span") == 12
    assert text_of(older).count("Receipt<span") == 2
    assert "20 Nov 2026 to 20 Dec 2026" in said(older)
    assert person.get(HOME, {"cursor": "made-up"}).status_code == 400


def test_a_failed_payment_is_said_on_every_page_with_the_way_to_mend_it(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribe(person, renewing_rail)
        frozen.at = subscription.period_ends_at
        renewing_rail.fail(subscription)
        for path in (HOME, "/billing/", "/billing/plans", "/billing/transactions"):
            notice = value_of(person.get(path), "notice-past_due")
            assert "The payment for Basic failed." in notice
            assert "Access stays until 27 Dec 2026;" in notice
            assert "Update the card" in notice
        assert "notice-past_due" not in text_of(person.get("/settings/"))


def test_a_suspended_one_says_since_when_and_comes_back_once_it_is_paid(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribe(person, renewing_rail)
        frozen.at = subscription.period_ends_at
        renewing_rail.fail(subscription)
        frozen.move(timedelta(days=7))
        dunning.run()
        suspended = person.get(HOME)
        renewing_rail.renew(subscription)
        restored = person.get(HOME)

    assert "Basic is suspended." in value_of(suspended, "notice-suspended")
    assert "Suspended since 27 Dec 2026" in value_of(suspended, "next-step")
    assert "notice-" not in text_of(restored)
    assert "Active" in said(restored)


def test_members_who_only_look_are_not_asked_to_pay(renewing_rail: FakeRenewingRail) -> None:
    looking, team = member_who_only_looks()
    owner = signed_in()
    owner.customer = team
    renewing_rail.fail(subscribe(owner, renewing_rail))

    page = looking.get(HOME)

    assert page.status_code == 200
    assert "Payment failed" in said(page)
    assert "notice-" not in text_of(page)
    assert 'id="cancel"' not in text_of(page)
    for path in (CHANGE, CANCEL):
        assert looking.get(path, UP).status_code == 403
    for path in (CHANGE, CANCEL, RESUME, PORTAL):
        assert looking.post(path, UP).status_code == 403


def test_prepaid_time_says_that_it_does_not_renew(person: PersonClient) -> None:
    row = Subscription.objects.create(
        customer=person.customer,
        rail="card",
        plan_slug="basic",
        interval="month",
        asset="USD",
        price_minor=29_99,
        status=SubscriptionStatus.ACTIVE,
        renews=False,
        anchor_at=NOW,
        period_starts_at=NOW,
        period_ends_at=datetime(2026, 12, 20, tzinfo=UTC),
        started_at=NOW,
    )
    with clock.frozen(NOW), only_rail(FakeRail()):
        page, plans = person.get(HOME), person.get("/billing/plans")
        left = person.get(CANCEL, follow=True)
    assert "Paid until 20 Dec 2026. It does not renew by itself." in value_of(page, "next-step")
    assert "Add one month for $29.99" in said(plans)
    assert "It does not renew by itself." in said(left)
    with clock.frozen(row.period_ends_at):
        assert "Ended on 20 Dec 2026." in said(person.get(HOME))


def test_two_subscriptions_are_both_shown_and_one_can_be_ended(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW):
        first, second = subscribe_twice(person, renewing_rail)
        page = person.get(HOME)
        asked = person.get(CANCEL, {"subscription": second.pk})
        person.post(CANCEL, {"subscription": second.pk})

    assert "You have two subscriptions: Premium and Basic." in value_of(page, "notice-duplicate")
    assert "Second subscription" in said(page)
    assert "Cancel Basic?" in said(asked)
    assert "Your other subscription goes on." in said(asked)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.cancels_at, second.cancels_at) == (None, second.period_ends_at)


def test_a_paused_one_says_why(person: PersonClient, renewing_rail: FakeRenewingRail) -> None:
    subscribe(person, renewing_rail)
    refunds.request(Payment.objects.get().pk, reason="asked")

    page = person.get(HOME)

    assert "is paused" in value_of(page, "notice-paused")
    assert "Paused while one of its payments is disputed or being refunded." in said(page)


# -- after paying ---------------------------------------------------------------------------------


def test_the_success_page_speaks_of_the_plan(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW):
        order = subscriptions.start(person.customer, "premium", "year", rail="card")
        waiting = person.get(f"/billing/orders/{order.pk}/success")
        renewing_rail.pay(order)
        done = person.get(f"/billing/orders/{order.pk}/success")
        listed = person.get("/billing/transactions")
        receipt = person.get(f"/billing/payments/{Payment.objects.get().pk}/receipt")

    assert "Waiting for your payment" in said(waiting)
    assert "You have Premium now. Renews on 20 Nov 2027 for $999.99." in value_of(done, "delivered")
    assert "You can spend now" not in said(done)
    assert "Premium, per year" in said(listed)
    assert "20 Nov 2026 to 20 Nov 2027" in said(receipt)


def test_the_success_page_of_a_trial_says_that_it_has_begun(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with override_settings(CATALOGUE=catalogue.load({"BASIC_TRIAL_DAYS": "14"})):
        subscribe(person, renewing_rail)
        page = person.get(f"/billing/orders/{Order.objects.get().pk}/success")

    assert "Your trial has begun" in said(page)


# -- every page -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [HOME, "/billing/", f"{CHANGE}?plan=premium&interval=month", CANCEL]
)
def test_a_page_takes_few_queries_and_no_more_for_more(
    person: PersonClient, renewing_rail: FakeRenewingRail, path: str
) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribe(person, renewing_rail)
        few = queries(person, path)
        for _ in range(5):
            frozen.at = subscription.period_ends_at
            subscription = renewing_rail.renew(subscription)

        assert few == queries(person, path) <= 12


def queries(person: PersonClient, path: str) -> int:
    """How many a page takes."""
    with CaptureQueriesContext(connection) as seen:
        assert person.get(path).status_code == 200
    return len(seen)


def test_the_signed_out_are_sent_to_log_in(renewing_rail: FakeRenewingRail) -> None:
    for path in (HOME, CHANGE, CANCEL, "/billing/plans"):
        response = PersonClient().get(path)
        assert response.status_code == 302
        assert response["Location"].startswith("/accounts/login/")


def test_after_the_end_the_last_one_is_remembered(
    person: PersonClient, renewing_rail: FakeRenewingRail
) -> None:
    with clock.frozen(NOW) as frozen:
        subscription = subscribe(person, renewing_rail)
        cancellations.cancel(person.customer)
        frozen.at = subscription.period_ends_at
        renewing_rail.renew(subscription)
        page = person.get(HOME)

    assert "Basic, per month: Ended on 20 Dec 2026." in said(page)
    assert 'id="manage-cards"' in text_of(page)
