"""The hourly task: what cannot be done for one customer is done for all others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from billing import tasks
from billing.errors import RailUnavailable
from billing.models import Order, OrderStatus
from billing.money import USD
from billing.rails.wallet.rail import WalletRail
from billing.services import plan_changes
from common import clock
from tests.billing.fakes import FakeRenewingRail
from tests.billing.prepaid import balance_of, bought, rich
from tests.billing.renewing import BASIC, subscribed
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def left_over(rail: FakeRenewingRail) -> Order:
    """A change whose answer was lost before anything was charged."""
    subscription = subscribed(rail)
    quote = plan_changes.quote(subscription.customer, "premium", "month")
    rail.down = True
    with pytest.raises(RailUnavailable):
        plan_changes.confirm(subscription.customer, quote.token, placed_by=None)
    rail.down = False
    order = Order.objects.get(customer=subscription.customer, status=OrderStatus.OPEN)
    Order.objects.filter(pk=order.pk).update(created_at=NOW - timedelta(days=400))
    return order


def test_a_change_that_cannot_be_looked_at_holds_nobody_up(
    renewing_rail: FakeRenewingRail,
) -> None:
    with clock.frozen(NOW) as now:
        broken, other = left_over(renewing_rail), left_over(renewing_rail)
        del renewing_rail.kept[broken.customer.subscriptions.get().external_id]
        now.move(timedelta(days=3))

        tasks.keep_subscriptions()

        other.refresh_from_db()
        assert other.status == OrderStatus.FAILED
        assert balance_of("sales", USD) == 2 * (BASIC // 10)


def test_a_prepaid_change_that_nobody_can_pay_any_more_lapses(wallet_rail: WalletRail) -> None:
    with clock.frozen(NOW) as now:
        customer = rich()
        bought(customer)
        quote = plan_changes.quote(customer, "premium", "month")
        order = plan_changes.confirm(customer, quote.token, placed_by=None).order
        assert order is not None
        Order.objects.filter(pk=order.pk).update(created_at=NOW - timedelta(days=400))

        plan_changes.settle_left_over()
        order.refresh_from_db()
        assert order.status == OrderStatus.OPEN
        now.move(timedelta(hours=2))
        plan_changes.settle_left_over()

        order.refresh_from_db()
        assert order.status == OrderStatus.EXPIRED
