"""The wallet rail's books against the ledger: what differs is named, what is safe is repaired."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from billing import ledger
from billing.models import (
    OrderStatus,
    Payment,
)
from billing.money import CREDIT
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.services import refunds
from common.clock import FrozenClock
from tests.billing.prepaid import (
    BASIC,
    bought,
    differences,
    ordered,
    refunded,
    rich,
)
from tests.factories import NOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("now", "wallet_rail")]

DAY = timedelta(days=1)
FAR = NOW - timedelta(days=1), NOW + timedelta(days=400)


@pytest.fixture
def tampered() -> None:
    """Says that this test breaks the books on purpose."""


@pytest.fixture(autouse=True)
def _books_add_up(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    assert bool(differences()) is ("tampered" in request.fixturenames)


def found(rail: WalletRail) -> list[tuple[str, str]]:
    return [(one.kind, one.subject) for one in rail.reconcile(*FAR, lambda _: None)]


def test_right_books_have_no_findings(wallet_rail: WalletRail) -> None:
    payment = bought(rich())
    refunded(payment, 100)

    assert found(wallet_rail) == []


def test_an_overdue_order_is_named_and_closed(now: FrozenClock, wallet_rail: WalletRail) -> None:
    order = ordered(rich())
    now.move(2 * DAY)

    assert found(wallet_rail) == [("order_overdue", str(order.pk))]
    repair = wallet_rail.look_again("order_overdue", str(order.pk))
    assert repair is not None
    assert repair.act is not None
    repair.act()

    order.refresh_from_db()
    assert order.status == OrderStatus.EXPIRED
    assert found(wallet_rail) == []
    assert wallet_rail.look_again("order_overdue", str(order.pk)) is None


def test_units_that_came_back_unbooked_are_named_and_booked(wallet_rail: WalletRail) -> None:
    refund = refunds.request(bought(rich()).pk, reason="asked", amount_minor=100)
    wallet_rail.send_refund(refund)

    assert found(wallet_rail) == [("refund_state_differs", str(refund.pk))]
    repair = wallet_rail.look_again("refund_state_differs", str(refund.pk))
    assert repair is not None
    assert repair.act is not None
    repair.act()

    assert found(wallet_rail) == []


@pytest.mark.usefixtures("tampered")
def test_a_debit_without_its_payment_is_named(wallet_rail: WalletRail) -> None:
    customer = rich()
    order = ordered(customer)
    ledger.spend(
        ledger.wallet(customer, CREDIT),
        BASIC,
        code="order",
        key=paying.spend_key(order.pk),
        occurred_at=NOW,
        target="clearing:wallet",
    )

    (named,) = wallet_rail.reconcile(*FAR, lambda _: None)

    assert (named.kind, named.subject) == ("payment_missing", str(order.pk))
    assert not named.remedy


@pytest.mark.usefixtures("tampered")
def test_a_payment_without_its_debit_is_named(wallet_rail: WalletRail) -> None:
    payment = bought(rich())
    Payment.objects.filter(pk=payment.pk).update(external_id="made-up")

    named = {one.kind for one in wallet_rail.reconcile(*FAR, lambda _: None)}

    assert named == {"debit_missing", "payment_missing"}
