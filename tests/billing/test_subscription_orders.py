"""Orders of plans that are left open: what became pointless cannot be paid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from billing.errors import AlreadySubscribed, RailUnavailable
from billing.models import Order, OrderStatus, Subscription
from billing.services import orders, plan_changes, subscriptions
from common.errors import Conflict
from tests.billing.fakes import FakeRenewingRail, only_rail
from tests.factories import make_customer

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRenewingRail]:
    rail = FakeRenewingRail()
    with only_rail(rail):
        yield rail


def test_it_sends_nobody_to_pay_for_a_second_subscription(rail: FakeRenewingRail) -> None:
    customer = make_customer()
    phone = subscriptions.start(customer, "premium", "month", rail="card")
    laptop = subscriptions.start(customer, "basic", "month", rail="card")
    orders.pay_url(laptop)
    rail.pay(phone)

    with pytest.raises(AlreadySubscribed):
        orders.pay_url(laptop)


def test_a_change_of_plan_is_charged_by_the_rail_and_by_no_pay_page(
    rail: FakeRenewingRail,
) -> None:
    customer = make_customer()
    rail.pay(subscriptions.start(customer, "basic", "month", rail="card"))
    token = plan_changes.quote(customer, "premium", "month").token
    rail.down = True
    with pytest.raises(RailUnavailable):
        plan_changes.confirm(customer, token, placed_by=None)
    rail.down = False

    left = Order.objects.get(customer=customer, status=OrderStatus.OPEN)
    with pytest.raises(Conflict, match="charged to the subscription"):
        orders.pay_url(left)

    plan_changes.confirm(customer, token, placed_by=None)
    left.refresh_from_db()
    assert left.status == OrderStatus.PAID
    assert Subscription.objects.get(customer=customer).plan_slug == "premium"


def test_what_a_failed_refund_gave_back_is_not_extended_by_a_rail_that_renews(
    rail: FakeRenewingRail,
) -> None:
    customer = make_customer()
    subscription = rail.pay(subscriptions.start(customer, "basic", "month", rail="card"))
    subscription.renews = False
    subscription.save(update_fields=["renews"])

    with pytest.raises(AlreadySubscribed):
        subscriptions.start(customer, "basic", "month", rail="card")
