"""Three years of prepaid time in the customer's own zone: every second is billed exactly once.

Customers begin on the 28th to 31st, extend early or too late, go on as a better plan at any
moment, let it lapse. What they should have is counted by an oracle that knows wall clocks and
calendars, and nothing of the portal.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.models import Payment, Subscription, SubscriptionPeriod
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.selectors import entitlements
from billing.services import plan_changes, prepaid, rails, subscription_periods, subscriptions
from common import clock
from tests.billing.prepaid import ONE, balance_of, bought, differences, rich
from tests.billing.test_intervals import ZONES

pytestmark = pytest.mark.django_db

PLANS = ("basic", "premium", "enterprise")
MONTHS = {"month": 1, "year": 12}
THREE_YEARS = timedelta(days=3 * 365 + 1)
# How many periods somebody pays ahead at most.
AHEAD = 3

QUICK = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
LONG = settings(QUICK, max_examples=60, derandomize=False, print_blob=True)

# Around midnight, and in the hour that clock changes skip or repeat.
WALL_TIMES = ((0, 0), (1, 30), (2, 30), (3, 0), (12, 0), (23, 59))

NEVER = datetime.min.replace(tzinfo=UTC)

Stretch = tuple[datetime, datetime, str]


@pytest.fixture(autouse=True)
def _wallet() -> Iterator[None]:
    with mock.patch.dict(rails._RAILS, {"wallet": WalletRail()}, clear=True):
        yield


@QUICK
@given(st.sampled_from(ZONES), st.randoms(use_true_random=False))
def test_prepaid_seconds_are_billed_once(zone: str, random: Random) -> None:
    with transaction.atomic():
        Years(zone, random).prove()
        transaction.set_rollback(True)


@pytest.mark.prove
@pytest.mark.parametrize("zone", ZONES)
def test_prepaid_seconds_are_billed_once_in_every_zone(zone: str) -> None:
    @LONG
    @given(st.randoms(use_true_random=False))
    def lived(random: Random) -> None:
        with transaction.atomic():
            Years(zone, random).prove()
            transaction.set_rollback(True)

    lived()


@dataclass
class Oracle:
    """What was bought, told by wall clock and calendar."""

    zone: ZoneInfo
    stretches: list[Stretch] = field(default_factory=list)
    anchor: datetime = NEVER
    months: int = 0
    interval: str = ""

    @property
    def paid_until(self) -> datetime:
        """The end of all that was bought."""
        return self.stretches[-1][1] if self.stretches else NEVER

    @property
    def plan(self) -> str:
        """What was bought last."""
        return self.stretches[-1][2]

    def buy(self, plan: str, interval: str, now: datetime) -> None:
        """One more interval: anew, or after the ones there are."""
        begins = self.paid_until <= now
        if begins:
            self.anchor, self.months, self.interval = now, 0, interval
        self.months += MONTHS[self.interval]
        self.stretches.append((now if begins else self.paid_until, self._end(), plan))

    def better(self, plan: str, now: datetime) -> None:
        """All that is left becomes that plan."""
        until = self.paid_until
        kept = [(start, min(end, now), was) for start, end, was in self.stretches if start < now]
        self.stretches = [*kept, (now, until, plan)]

    def _end(self) -> datetime:
        """So many months after the anchor on the customer's wall."""
        wall = self.anchor.astimezone(self.zone).replace(tzinfo=None)
        month = wall.month - 1 + self.months
        year, month = wall.year + month // 12, month % 12 + 1
        day = min(wall.day, calendar.monthrange(year, month)[1])
        wall = wall.replace(year=year, month=month, day=day)
        return wall.replace(tzinfo=self.zone).astimezone(UTC)


class Years:
    """One customer for three years."""

    def __init__(self, zone: str, random: Random) -> None:
        self.random = random
        year = random.randint(2027, 2032)
        month = random.choice([1, 1, 3, 8, 10, 12])
        hour, minute = random.choice(WALL_TIMES)
        day = random.randint(28, 31)
        wall = datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone))
        self.begins_at = wall.astimezone(UTC)
        self.oracle = Oracle(ZoneInfo(zone))
        with clock.frozen(self.begins_at):
            self.customer = rich(10**8 * ONE, time_zone=zone)

    def prove(self) -> None:
        """Live, let all of it end, and count."""
        with clock.frozen(self.begins_at) as now:
            while now.at < self.begins_at + THREE_YEARS:
                self._act(now.at)
                now.move(self._pause(now.at))
                prepaid.end_over()
                subscription_periods.recognise_due()
                self._check_now(now.at)
            now.at = max(now.at, self.oracle.paid_until)
            prepaid.end_over()
            subscription_periods.recognise_due()
            self._check_all()

    def _act(self, now: datetime) -> None:
        oracle = self.oracle
        if oracle.paid_until <= now:
            if self.random.random() < 0.8:
                plan = self.random.choice(PLANS)
                interval = self.random.choice(["month", "month", "month", "year"])
                bought(self.customer, plan, interval)
                oracle.buy(plan, interval, now)
            return
        better = PLANS[PLANS.index(oracle.plan) + 1 :]
        if better and self.random.random() < 0.3:
            self._change(self.random.choice(better), now)
        elif self._ahead(now) < AHEAD:
            bought(self.customer, oracle.plan, oracle.interval)
            oracle.buy(oracle.plan, oracle.interval, now)

    def _change(self, plan: str, now: datetime) -> None:
        quote = plan_changes.quote(self.customer, plan, self.oracle.interval)
        order = plan_changes.confirm(self.customer, quote.token, placed_by=None).order
        assert order is not None
        paid = paying.pay(self.customer, order.pk)
        assert paid.amount == quote.total
        self.oracle.better(plan, now)

    def _ahead(self, now: datetime) -> int:
        return sum(end > now for _, end, _ in self.oracle.stretches)

    def _pause(self, now: datetime) -> timedelta:
        """Some days and seconds; often to the very end of what is paid, or just beside it."""
        left = self.oracle.paid_until - now
        near = left + timedelta(seconds=self.random.choice([-1, 0, 1]))
        if left > timedelta(0) and near > timedelta(0) and self.random.random() < 0.3:
            return near
        return timedelta(seconds=self.random.randint(1, 25 * 86_400))

    def _check_now(self, now: datetime) -> None:
        plans = [plan for start, end, plan in self.oracle.stretches if start <= now < end]
        assert entitlements(self.customer).plan.slug == (plans[0] if plans else "free")
        live = [one for one in subscriptions.live(self.customer) if one.gives_access(now)]
        assert len(live) == len(plans)

    def _check_all(self) -> None:
        periods = SubscriptionPeriod.objects.filter(subscription__customer=self.customer)
        billed = [(one.starts_at, one.ends_at, one.plan_slug) for one in periods]
        expected = merged(self.oracle.stretches)
        assert merged(billed) == expected
        seconds = sum((end - start).total_seconds() for start, end, _ in billed)
        assert seconds == sum((end - start).total_seconds() for start, end, _ in expected)
        paid = Payment.objects.filter(customer=self.customer)
        assert not paid.filter(order=None).exists()
        assert periods.count() == paid.count()
        assert not Subscription.objects.filter(customer=self.customer, ended_at=None).exists()
        assert balance_of("deferred") == 0
        assert balance_of("sales") == sum(paid.values_list("amount_minor", flat=True))
        assert differences() == []


def merged(stretches: list[Stretch]) -> list[Stretch]:
    """In order, those of one plan that touch as one; fails where two share a second."""
    found: list[Stretch] = []
    for start, end, plan in sorted(stretches):
        if start == end:
            continue
        assert not found or found[-1][1] <= start
        if found and (found[-1][1], found[-1][2]) == (start, plan):
            start = found.pop()[0]
        found.append((start, end, plan))
    return found
