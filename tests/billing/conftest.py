"""What the tests of billing share: callers, a rail of our own making, and the task queue."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest
import redis
from django.conf import settings
from django.core.cache import cache

from billing.models import AutoTopUp
from billing.rails.wallet.rail import WalletRail
from billing.services import rails
from common import clock, doorbell
from common.clock import FrozenClock
from tests.accounts.factories import PersonClient, signed_in
from tests.billing.callers import QUEUE, Bell
from tests.billing.charging import FakeChargingRail, switched_on
from tests.billing.fakes import FakeRail, FakeRenewingRail, only_rail
from tests.billing.prepaid import Chain
from tests.factories import NOW


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    """No rate limit and no memory of waiting outlives its test."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def now() -> Iterator[FrozenClock]:
    """The portal's clock, which stands until it is moved."""
    with clock.frozen(NOW) as frozen:
        yield frozen


@pytest.fixture
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def renewing_rail() -> Iterator[FakeRenewingRail]:
    """The only rail there is; it renews subscriptions by itself."""
    fake = FakeRenewingRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def charging_rail() -> Iterator[FakeChargingRail]:
    """The only rail there is; it charges saved cards."""
    fake = FakeChargingRail()
    with only_rail(fake):
        yield fake


@pytest.fixture
def low(now: FrozenClock, charging_rail: FakeChargingRail) -> AutoTopUp:
    """Auto top-up that is on, and fewer credits than its owner wants."""
    return switched_on(left=499)


@pytest.fixture
def wallet_rail() -> Iterator[WalletRail]:
    """The only rail there is: orders are paid from credits."""
    rail = WalletRail()
    with only_rail(rail):
        yield rail


@pytest.fixture
def chain(wallet_rail: WalletRail) -> Iterator[None]:
    """Beside the wallet, a rail that does not renew and cannot decline money."""
    with mock.patch.dict(rails._RAILS, {"chain": Chain()}):
        yield


@pytest.fixture
def client(db: None, rail: FakeRail) -> PersonClient:
    """The browser of a new person, on a portal with one rail."""
    return signed_in()


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bell]:
    """The tasks that were rung for."""
    monkeypatch.setattr(doorbell, "_BELL", doorbell._Bell())
    broker = redis.Redis.from_url(settings.REDIS_URL)
    broker.delete(QUEUE)
    yield Bell(broker)
    broker.delete(QUEUE)
    broker.close()
