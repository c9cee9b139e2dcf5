"""What staff does to subscriptions: each act with a reason, once, and only where it can be."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from billing.models import StaffAction, Subscription, SubscriptionStatus
from billing.services import cancellations, subscriptions
from common import clock
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.staff import Staff, make_helper, sign_in, words
from tests.factories import NOW, make_customer, make_payment

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(renewing_rail: FakeRenewingRail) -> Staff:
    """A superuser in the admin."""
    return sign_in()


@pytest.fixture
def row(renewing_rail: FakeRenewingRail) -> Subscription:
    """Somebody's subscription to Premium."""
    order = subscriptions.start(make_customer(), "premium", "month", rail="card")
    return renewing_rail.pay(order)


def act(name: str, row: Subscription) -> str:
    """The address of an act."""
    return reverse("admin:billing_subscription_change", args=[row.pk]).replace(
        "/change/", f"/{name}/"
    )


def test_the_list_is_found_by_address_and_by_the_providers_id(
    staff: Staff, row: Subscription
) -> None:
    other = make_customer()
    listed = reverse("admin:billing_subscription_changelist")

    for term in (row.customer.email, row.external_id, str(row.pk)):
        assert row.customer.email in words(staff.get(listed, {"q": term}))
    assert row.customer.email not in words(staff.get(listed, {"q": other.email}))


@pytest.mark.parametrize(
    ("narrowed", "is_shown"),
    [
        ({"status__exact": "active"}, True),
        ({"status__exact": "past_due"}, False),
        ({"plan": "premium"}, True),
        ({"plan": "basic"}, False),
        ({"rail": "card"}, True),
        ({"is_duplicate__exact": "1"}, False),
    ],
)
def test_the_list_can_be_narrowed(
    staff: Staff, row: Subscription, narrowed: dict[str, str], is_shown: bool
) -> None:
    page = staff.get(reverse("admin:billing_subscription_changelist"), narrowed)

    assert (row.customer.email in words(page)) == is_shown


def test_the_page_shows_periods_with_their_orders(staff: Staff, row: Subscription) -> None:
    page = staff.get(reverse("admin:billing_subscription_change", args=[row.pk]))

    period = row.periods.get()
    assert "Premium, per month" in words(page)
    assert reverse("admin:billing_order_change", args=[period.order_id]) in page.text
    assert "$99.99" in words(page)
    assert "('active'" not in words(page)
    for title in ("End at period end", "End now", "Refresh from the provider"):
        assert title in words(page)


def test_second_and_suspended_ones_are_pointed_out_first(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail
) -> None:
    Subscription.objects.filter(pk=row.pk).update(
        is_duplicate=True, status="suspended", past_due_since=NOW
    )

    page = words(staff.get(reverse("admin:index")))

    assert re.search(r"\b1 Second subscriptions|Second subscriptions\W+1\b", page), page
    assert re.search(r"\b1 Subscriptions suspended|Subscriptions suspended\W+1\b", page), page


def test_it_is_on_its_customers_page(staff: Staff, row: Subscription) -> None:
    page = staff.get(reverse("admin:accounts_customer_change", args=[row.customer_id]))

    assert reverse("admin:billing_subscription_change", args=[row.pk]) in page.text


def test_ending_at_the_period_end_tells_the_provider_and_keeps_access(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail
) -> None:
    shown = staff.shown(act("end-later", row))
    done = staff.post_final(act("end-later", row), shown)

    row.refresh_from_db()
    action = StaffAction.objects.get()
    assert "Access stays until" in words(shown)
    assert done.status_code == 302
    assert (row.cancels_at, row.status) == (row.period_ends_at, SubscriptionStatus.ACTIVE)
    assert (action.act, action.customer) == ("end_subscription_later", row.customer)
    assert (action.staff, action.reason) == (staff.user, "asked by e-mail")
    assert renewing_rail.calls == [("cancel_at_period_end", row.external_id)]


def test_ending_now_ends_access_and_has_the_provider_told(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail
) -> None:
    shown = staff.shown(act("end", row))
    staff.post_final(act("end", row), shown)

    row.refresh_from_db()
    assert "refund what is unused" in words(shown)
    assert (row.status, subscriptions.current(row.customer)) == (SubscriptionStatus.ENDED, None)
    assert cancellations.to_stop_ids() == [row.pk]
    cancellations.stop(row.pk)
    assert renewing_rail.calls == [("stop", row.external_id)]
    assert StaffAction.objects.get().subject == f"subscription:{row.pk}"


@pytest.mark.parametrize("name", ["end", "end-later", "refresh"])
def test_a_form_that_is_sent_twice_acts_once(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail, name: str
) -> None:
    shown = staff.shown(act(name, row))

    for _ in range(2):
        assert staff.post_final(act(name, row), shown).status_code == 302

    assert StaffAction.objects.count() == 1
    assert len(renewing_rail.calls) <= 1


@pytest.mark.parametrize("name", ["end", "end-later", "refresh"])
def test_no_act_without_a_reason(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail, name: str
) -> None:
    page = staff.post_final(act(name, row), staff.shown(act(name, row)), reason="  ")

    assert page.status_code == 200
    assert "This field is required." in words(page)
    assert StaffAction.objects.count() == 0
    assert renewing_rail.calls == []


def test_refreshing_takes_the_providers_word(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail
) -> None:
    Subscription.objects.filter(pk=row.pk).update(status="past_due", past_due_since=NOW)

    staff.act(act("refresh", row))

    row.refresh_from_db()
    assert row.status == SubscriptionStatus.ACTIVE
    assert StaffAction.objects.get().detail["was"] == "past_due"


def test_a_provider_out_of_reach_leaves_everything_as_it_was(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail
) -> None:
    shown = staff.shown(act("end-later", row))
    renewing_rail.down = True

    page = staff.post_final(act("end-later", row), shown)

    row.refresh_from_db()
    assert "cannot be reached" in words(page)
    assert row.cancels_at is None
    assert StaffAction.objects.count() == 0


def test_what_changed_meanwhile_is_shown_again(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail
) -> None:
    shown = staff.shown(act("end-later", row))
    renewing_rail.renew(row)

    page = staff.post_final(act("end-later", row), shown)

    row.refresh_from_db()
    assert "Something changed meanwhile." in words(page)
    assert row.cancels_at is None


def test_what_has_ended_cannot_be_ended_again(
    staff: Staff, row: Subscription, renewing_rail: FakeRenewingRail
) -> None:
    renewing_rail.delete(row)

    page = staff.get(act("end", row), follow=True)
    shown = staff.get(reverse("admin:billing_subscription_change", args=[row.pk]))

    assert "This subscription has ended." in words(page)
    assert "End now" not in words(shown)
    assert "Refresh from the provider" in words(shown)


def test_prepaid_time_can_only_be_ended_now(staff: Staff) -> None:
    with only_rail(FakeRail()), clock.frozen(NOW) as frozen:
        order = subscriptions.start(make_customer(), "basic", "month", rail="card")
        make_payment(order)
        row = Subscription.objects.get()
        frozen.move(timedelta(days=3))
        shown = staff.get(reverse("admin:billing_subscription_change", args=[row.pk]))
        refused = staff.get(act("end-later", row), follow=True)
        staff.act(act("end", row))

    row.refresh_from_db()
    assert "End at period end" not in words(shown)
    assert "This is prepaid" in words(refused)
    assert (row.status, row.stop_requested_at) == (SubscriptionStatus.ENDED, None)


def test_acts_need_their_rights(row: Subscription, renewing_rail: FakeRenewingRail) -> None:
    looking = sign_in(make_helper())
    refunding = sign_in(make_helper("refund_payment"))

    for name in ("end", "end-later", "refresh"):
        assert looking.get(act(name, row)).status_code == 403
        assert looking.post(act(name, row), {"reason": "x"}).status_code == 403
    assert refunding.get(act("end", row)).status_code == 200
    assert refunding.get(act("refresh", row)).status_code == 403
    page = looking.get(reverse("admin:billing_subscription_change", args=[row.pk]))
    assert "End now" not in words(page)
