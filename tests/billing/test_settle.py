"""Settling: money that came in is booked once, and delivers what it was for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from billing.errors import IdempotencyMismatch, RailUnavailable
from billing.models import Lot, Order, OrderStatus, Payment, Transfer
from billing.money import CREDIT, USD, Money
from billing.services import fulfilment, orders, payments, products, unapplied
from billing.services.credit_packs import CreditPackType
from common.errors import Conflict
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import make_charge, make_customer, make_order, make_payment

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


def moves(group: str) -> list[tuple[str, str, int]]:
    """The transfers of one act as (source role, target role, amount)."""
    rows = Transfer.objects.filter(group=group).select_related("source", "target").order_by("pk")
    return [(row.source.role, row.target.role, row.amount_minor) for row in rows]


def test_a_pack_with_tax_is_booked_as_in_example_1() -> None:
    order = make_order()

    payments.settle(make_charge(order, tax_minor=99))

    assert moves(f"order:{order.pk}") == [
        ("clearing:card", "deferred", 5_00),
        ("clearing:card", "tax", 99),
        ("issued", "wallet", 2_500_000_000),
    ]
    lot = Lot.objects.get(origin=f"order:{order.pk}")
    assert (lot.cost_minor, lot.cost_asset) == (5_00, "USD")
    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert order.delivered_at is not None
    assert order.total == Money(5_99, USD)


def test_settling_again_changes_nothing() -> None:
    charge = make_charge(make_order(), tax_minor=99)
    first = payments.settle(charge)
    before = Transfer.objects.count()

    again = payments.settle(charge)

    assert again.pk == first.pk
    assert Transfer.objects.count() == before


def test_the_same_charge_with_another_amount_is_refused() -> None:
    charge = make_charge(make_order())
    payments.settle(charge)

    with pytest.raises(IdempotencyMismatch):
        payments.settle(replace(charge, amount_minor=6_00))


def test_a_discount_lowers_the_cost_of_the_lot_not_the_credits() -> None:
    order = make_order()

    payments.settle(make_charge(order, discount_minor=1_00))

    lot = Lot.objects.get(origin=f"order:{order.pk}")
    assert (lot.granted_minor, lot.cost_minor) == (2_500_000_000, 4_00)


def test_an_order_paid_twice_becomes_credits_as_in_example_8() -> None:
    order = make_order()
    payments.settle(make_charge(order))

    second = payments.settle(make_charge(order))

    assert second.order is not None
    assert second.order.from_unapplied
    assert second.order.pk != order.pk
    assert moves(f"payment:{second.pk}") == [("clearing:card", "unapplied", 5_00)]
    assert moves(f"order:{second.order.pk}") == [
        ("unapplied", "deferred", 5_00),
        ("issued", "wallet", 2_500_000_000),
    ]
    assert "already" in second.unapplied_reason


def test_only_the_net_of_an_unapplied_payment_buys_credits() -> None:
    order = make_order()
    payments.settle(make_charge(order))

    second = payments.settle(make_charge(order, tax_minor=1_00))

    assert moves(f"order:{second.order_id}") == [
        ("unapplied", "deferred", 5_00),
        ("unapplied", "tax", 1_00),
        ("issued", "wallet", 2_500_000_000),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"subtotal_minor": 4_00}, "amount differs"),
        ({"order_id": uuid4()}, "does not exist"),
        ({"order_id": None}, "names no order"),
        ({"amount_minor": 7_00}, "do not add up"),
    ],
)
def test_money_that_fits_no_order_is_kept_and_says_why(
    settings: Settings, change: dict[str, object], reason: str
) -> None:
    settings.UNAPPLIED_POLICY = "hold"
    order = make_order()

    payment = payments.settle(make_charge(order, **change))

    order.refresh_from_db()
    assert order.is_open
    assert payment.order is None
    assert reason in payment.unapplied_reason
    assert moves(f"payment:{payment.pk}") == [("clearing:card", "unapplied", payment.amount_minor)]


def test_money_paid_late_is_kept_for_the_customer() -> None:
    order = make_order()
    orders.lapse(order.pk, OrderStatus.EXPIRED)

    payment = payments.settle(make_charge(order))

    assert payment.order is not None
    assert payment.order.from_unapplied
    assert payment.customer == order.customer


def test_money_of_another_customer_does_not_close_the_order() -> None:
    order = make_order()
    stranger = make_customer()

    payment = payments.settle(make_charge(order, customer=stranger))

    order.refresh_from_db()
    assert order.is_open
    assert payment.customer == stranger
    assert payment.order is not None
    assert payment.order.customer == stranger


def test_money_without_a_payer_waits_for_staff_and_can_be_assigned() -> None:
    payment = payments.settle(make_charge(None))
    customer = make_customer()
    assert moves(f"payment:{payment.pk}") == [("clearing:card", "unapplied:unknown", 5_00)]

    unapplied.assign(payment.pk, customer)
    unapplied.apply_as_credits(payment.pk)

    payment.refresh_from_db()
    assert payment.order is not None
    assert payment.order.customer == customer
    with pytest.raises(Conflict):
        unapplied.assign(payment.pk, make_customer())
    with pytest.raises(Conflict):
        unapplied.apply_as_credits(payment.pk)


def test_a_free_order_is_delivered_without_a_payment() -> None:
    order = make_order()

    orders.complete_free(order.pk, discount_minor=5_00, occurred_at=order.created_at)
    orders.complete_free(order.pk, discount_minor=5_00, occurred_at=order.created_at)

    order.refresh_from_db()
    assert order.delivered_at is not None
    assert not Payment.objects.filter(order=order).exists()
    assert Lot.objects.get(origin=f"order:{order.pk}").cost_minor == 0


def test_an_order_is_not_free_for_less_than_its_price() -> None:
    order = make_order()

    orders.complete_free(order.pk, discount_minor=4_99, occurred_at=order.created_at)

    order.refresh_from_db()
    assert order.is_open


class Broken(CreditPackType):
    """A product whose delivery fails until it is mended."""

    kind = "broken_pack"
    works = False

    def deliver(self, order: Order, **rest: object) -> None:
        if not Broken.works:
            raise RuntimeError("out of stock")
        super().deliver(order, **rest)  # type: ignore[arg-type]


def test_a_delivery_that_fails_leaves_the_payment_settled_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    products.register(Broken())
    order = make_order(product_kind="broken_pack")

    payment = payments.settle(make_charge(order))

    order.refresh_from_db()
    assert payment.order == order
    assert (order.status, order.delivered_at) == (OrderStatus.PAID, None)
    assert "out of stock" in order.delivery_error
    assert fulfilment.undelivered_ids() == [order.pk]
    assert not fulfilment.deliver(order.pk)

    monkeypatch.setattr(Broken, "works", True)
    assert fulfilment.deliver(order.pk)
    order.refresh_from_db()
    assert order.delivered_at is not None
    assert (order.delivery_attempts, order.delivery_error) == (3, "")
    assert fulfilment.undelivered_ids() == []


def test_a_fee_is_booked_once() -> None:
    payment = make_payment()

    payments.book_fee(payment.pk, 45)
    payments.book_fee(payment.pk, 50)

    fees = Transfer.objects.filter(key=f"payment:{payment.pk}:fee")
    assert [fee.amount_minor for fee in fees] == [45]


def test_a_paid_order_stays_paid_when_its_page_lapses() -> None:
    order = make_order()
    payments.settle(make_charge(order))

    orders.lapse(order.pk, OrderStatus.EXPIRED)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID


def test_the_pay_page_is_opened_once(rail: FakeRail) -> None:
    order = make_order()

    first = orders.pay_url(order)
    second = orders.pay_url(Order.objects.get(pk=order.pk))

    assert first == second
    assert len(rail.pages) == 1


def test_a_key_the_provider_used_up_is_not_tried_again(rail: FakeRail) -> None:
    order = make_order()
    rail.down = True
    rail.key_spent = True
    with pytest.raises(RailUnavailable):
        orders.pay_url(order)

    rail.down = False
    orders.pay_url(Order.objects.get(pk=order.pk))

    assert [page.provider_key for page in rail.pages] == [f"order:{order.pk}:1"]


def test_credits_are_what_the_catalogue_says() -> None:
    payment = make_payment(make_order(package="large"))

    assert payment.order is not None
    lot = Lot.objects.get(origin=f"order:{payment.order.pk}")
    assert Money(lot.granted_minor, CREDIT) == Money(25_000_000_000, CREDIT)
