"""Tasks: each does what is due, is safe twice, and one failure does not hold up the rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from accounts.models import Customer
from billing import ledger, tasks
from billing.models import Code, Lot, Order, OrderStatus, RailCustomer, Refund
from billing.money import CREDIT, USD
from billing.services import inbox, payments, products, refunds
from billing.services.rails import RefundAnswer
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.test_settle import Broken
from tests.factories import NOW, make_charge, make_customer, make_order, make_payment, make_wallet

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


def test_the_sweep_finds_what_nobody_was_rung_for(
    rail: FakeRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    rail.acts["thing"] = lambda event: seen.append(event.external_id)
    inbox.record(
        rail="card", external_id="e1", kind="thing", object_id="", payload={}, occurred_at=NOW
    )
    products.register(Broken())
    stuck = make_order(product_kind="broken_pack")
    monkeypatch.setattr(Broken, "works", False)
    payments.settle(make_charge(stuck))
    monkeypatch.setattr(Broken, "works", True)
    refund = refunds.request(make_payment().pk, reason="asked")
    hold = ledger.reserve(
        make_wallet(credits_minor=100),
        40,
        code=Code.USAGE,
        key="hold",
        deadline_at=clock.now() - timedelta(seconds=1),
        occurred_at=clock.now() - timedelta(minutes=5),
    )

    for _ in range(2):
        tasks.sweep()

    stuck.refresh_from_db()
    refund.refresh_from_db()
    hold.refresh_from_db()
    assert seen == ["e1"]
    assert stuck.delivered_at is not None
    assert refund.state == "succeeded"
    assert hold.state == "expired"


def test_one_refund_that_crashes_does_not_hold_up_the_rest_of_the_sweep(
    rail: FakeRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing, sound = (refunds.request(make_payment().pk, reason="asked") for _ in range(2))
    answer = rail.send_refund

    def send(refund: Refund) -> RefundAnswer:
        if refund.pk == crashing.pk:
            raise RuntimeError("wrong key")
        return answer(refund)

    monkeypatch.setattr(rail, "send_refund", send)

    tasks.sweep()

    crashing.refresh_from_db()
    sound.refresh_from_db()
    assert (crashing.state, crashing.last_error) == ("requested", "RuntimeError: wrong key")
    assert crashing.pk not in refunds.due_ids()
    assert sound.state == "succeeded"


def test_a_customer_the_rail_does_not_take_does_not_hold_up_the_next(
    rail: FakeRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, taken = make_customer(), make_customer()
    known: list[Customer] = []

    def ensure(customer: Customer) -> None:
        if customer == refused:
            raise RuntimeError("not an address")
        known.append(customer)

    monkeypatch.setattr(rail, "ensure_customer", ensure)

    tasks.create_missing_rail_customers()

    assert taken in known


def test_new_customers_become_known_to_the_rail_once(rail: FakeRail) -> None:
    customer = make_customer()
    known = make_customer()
    RailCustomer.objects.create(rail="card", customer=known, external_id="cus_1")

    tasks.create_missing_rail_customers()

    assert customer in rail.customers
    assert known not in rail.customers


def test_an_unreachable_rail_leaves_customers_to_the_next_sweep(rail: FakeRail) -> None:
    make_customer()
    rail.down = True

    tasks.create_missing_rail_customers()

    assert rail.customers == []


def test_lots_expire_and_earn_their_breakage() -> None:
    wallet = make_wallet()
    lot = ledger.grant(
        wallet,
        1000,
        code=Code.PURCHASE,
        key="lot",
        group="lot",
        occurred_at=NOW,
        origin="test:lot",
        expires_at=NOW + timedelta(days=1),
        cost_minor=100,
        cost_asset=USD,
    )
    ledger.spend(wallet, 250, code=Code.USAGE, key="use", occurred_at=NOW)

    with clock.frozen(NOW + timedelta(days=2)):
        tasks.expire_lots()
        tasks.expire_lots()

    lot.refresh_from_db()
    assert (lot.remaining_minor, lot.expired_minor) == (0, 750)
    assert (lot.recognised_minor, lot.breakage_minor) == (25, 75)


def test_an_order_that_is_still_open_is_looked_up_at_its_rail(rail: FakeRail) -> None:
    order = make_order()
    paid = make_order(status=OrderStatus.PAID, paid_at=NOW)

    tasks.refresh_order(str(order.pk))
    tasks.refresh_order(str(paid.pk))

    assert rail.refreshed == [order]


def test_reconciliation_survives_a_rail_that_is_down(rail: FakeRail) -> None:
    rail.down = True

    tasks.reconcile_rails()


def test_the_nightly_check_finds_nothing_in_sound_books() -> None:
    make_payment()

    assert tasks.check_ledger() == 0
    assert Order.objects.filter(delivered_at__isnull=False).exists()
    assert Lot.objects.filter(account__asset=CREDIT.code).exists()


def test_snapshots_are_taken_a_day_late_and_once() -> None:
    make_payment()

    tasks.snapshot_accounts()
    tasks.snapshot_accounts()

    # Today's money is not in yesterday's picture: transactions of that day are all closed.
    clearing = ledger.system_account("clearing:card", USD)
    assert [int(one.balance_minor) for one in clearing.snapshots.all()] == [0]
