"""Refunds: a row before it is a call, units and money back to the cent, debt for what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from pytest_django import Settings

from accounts.models import Customer
from billing import ledger
from billing.errors import NotRefundable
from billing.models import Code, Hold, Lot, OrderStatus, Payment, Refund, Transfer
from billing.money import CREDIT
from billing.services import payments, products, refunds
from billing.services.rails import RefundAnswer
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.test_settle import Broken
from tests.factories import NOW, make_charge, make_order, make_payment

pytestmark = pytest.mark.django_db

THOUSAND = 1_000_000_000


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


def spend(customer: Customer, amount_minor: int, key: str = "work") -> None:
    """Use credits."""
    ledger.spend(
        ledger.wallet(customer, CREDIT), amount_minor, code=Code.USAGE, key=key, occurred_at=NOW
    )


def paid(*, tax_minor: int = 99, spent_minor: int = 0) -> Payment:
    """A small pack paid with tax, some of it spent and recognised."""
    payment = make_payment(tax_minor=tax_minor)
    assert payment.customer is not None
    if spent_minor:
        spend(payment.customer, spent_minor)
        ledger.recognise(occurred_at=NOW)
    return payment


def balance(payment: Payment, role: str = "wallet") -> int:
    """The payer's credits, or what they owe (negative)."""
    account = payment.customer.ledger_accounts.get(role=role, asset="CREDIT")  # type: ignore[union-attr]
    return int(account.balance_minor or 0)


def test_the_unspent_share_goes_back_as_in_example_3(rail: FakeRail) -> None:
    payment = paid(spent_minor=THOUSAND)

    refund = refunds.request(payment.pk, reason="asked")
    refunds.send(refund.pk)

    refund.refresh_from_db()
    assert (refund.amount_minor, refund.tax_minor, refund.state) == (3_59, 59, "succeeded")
    assert moves(f"refund:{refund.pk}") == [
        ("wallet", "revoked", 1_500_000_000),
        ("deferred", "clearing:card", 3_00),
        ("tax", "clearing:card", 59),
    ]
    assert balance(payment) == 0


def test_a_forced_full_refund_ends_as_in_example_4(rail: FakeRail) -> None:
    payment = paid(spent_minor=THOUSAND)
    first = refunds.request(payment.pk, reason="asked")
    refunds.send(first.pk)

    rest = refunds.request(payment.pk, amount_minor=2_40, forced=True, reason="goodwill")
    refunds.send(rest.pk)

    assert moves(f"refund:{rest.pk}") == [
        ("debt", "revoked", THOUSAND),
        ("sales", "clearing:card", 2_00),
        ("tax", "clearing:card", 40),
    ]
    assert balance(payment, "debt") == -THOUSAND

    make_payment(make_order(customer=payment.customer))

    assert balance(payment, "debt") == 0
    assert balance(payment) == 1_500_000_000


def test_sending_again_refunds_once(rail: FakeRail) -> None:
    refund = refunds.request(paid().pk, reason="asked")

    refunds.send(refund.pk)
    refunds.send(refund.pk)

    assert len(rail.refund_calls) == 1


def test_more_than_is_unspent_needs_force() -> None:
    payment = paid(spent_minor=THOUSAND)

    with pytest.raises(NotRefundable):
        refunds.request(payment.pk, amount_minor=3_60, reason="asked")

    assert not Refund.objects.exists()


@pytest.mark.parametrize("amount_minor", [0, -1, 6_00])
def test_an_impossible_amount_is_refused(amount_minor: int) -> None:
    with pytest.raises(NotRefundable):
        refunds.request(paid().pk, amount_minor=amount_minor, forced=True, reason="asked")


def test_two_refunds_together_never_exceed_the_payment() -> None:
    payment = paid()
    refunds.request(payment.pk, amount_minor=4_00, reason="asked")

    with pytest.raises(NotRefundable):
        refunds.request(payment.pk, amount_minor=2_00, reason="asked", forced=True)


def test_pinned_units_cannot_be_spent_while_the_refund_is_on_its_way(rail: FakeRail) -> None:
    rail.refund_state = "sent"
    payment = paid()
    refund = refunds.request(payment.pk, reason="asked")
    refunds.send(refund.pk)

    hold = Hold.objects.get(group=f"refund:{refund.pk}")

    assert (hold.amount_minor, hold.deadline_at) == (2_500_000_000, None)
    assert moves(f"refund:{refund.pk}") == []


def test_a_refund_that_fails_gives_the_units_back(rail: FakeRail) -> None:
    rail.refund_state = "failed"
    payment = paid()

    refund = refunds.request(payment.pk, reason="asked")
    refunds.send(refund.pk)

    payment.refresh_from_db()
    assert (payment.refunding_minor, payment.refunded_minor) == (0, 0)
    assert balance(payment) == 2_500_000_000
    assert not Hold.objects.filter(state="held").exists()
    refunds.request(payment.pk, reason="again")


def test_a_booked_refund_that_fails_after_all_is_reversed(rail: FakeRail) -> None:
    payment = paid(spent_minor=THOUSAND)
    refund = refunds.request(payment.pk, amount_minor=5_99, forced=True, reason="asked")
    refunds.send(refund.pk)
    assert balance(payment, "debt") == -THOUSAND

    for _ in range(2):
        refunds.record(refund.pk, RefundAnswer("", "failed", "bank account closed"))

    payment.refresh_from_db()
    refund.refresh_from_db()
    assert (refund.state, refund.booked_at) == ("failed", None)
    assert (payment.refunding_minor, payment.refunded_minor) == (0, 0)
    assert balance(payment) == 1_500_000_000
    assert balance(payment, "debt") == 0
    lot = Lot.objects.get(origin=f"order:{payment.order_id}")
    assert (lot.refunded_minor, lot.revoked_minor) == (0, 0)
    total = {"clearing:card": 0, "tax": 0}
    for source, target, amount in moves(f"refund:{refund.pk}"):
        for role in total:
            total[role] += amount * ((target == role) - (source == role))
    assert total == {"clearing:card": 0, "tax": 0}


def test_a_failed_refund_that_was_made_after_all_is_booked(rail: FakeRail) -> None:
    refund = refunds.request(paid().pk, reason="asked")
    refunds.record(refund.pk, RefundAnswer("", "failed", "refused"))

    refunds.record(refund.pk, RefundAnswer("re_1", "succeeded"))

    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert refund.payment.refunded_minor == 5_99


@pytest.mark.parametrize(("now", "before"), [("failed", "succeeded"), ("succeeded", "sent")])
def test_an_answer_that_was_read_before_a_later_one_changes_nothing(now: str, before: str) -> None:
    refund = refunds.request(paid().pk, reason="asked")
    refunds.record(refund.pk, RefundAnswer("re_1", now))
    moved = Transfer.objects.count()

    refunds.record(refund.pk, RefundAnswer("re_1", before))

    refund.refresh_from_db()
    assert refund.state == now
    assert Transfer.objects.count() == moved


def test_an_unreachable_provider_is_tried_again_later(rail: FakeRail) -> None:
    refund = refunds.request(paid().pk, reason="asked")
    rail.down = True
    refunds.send(refund.pk)

    refund.refresh_from_db()
    assert (refund.state, refund.attempts) == ("requested", 1)
    assert refund.last_error
    assert refunds.due_ids() == []

    rail.down = False
    with clock.travel(timedelta(minutes=5)):
        assert refunds.due_ids() == [refund.pk]
        refunds.send(refund.pk)
    refund.refresh_from_db()
    assert refund.state == "succeeded"


def test_a_lost_answer_is_looked_up_before_anything_is_sent_again(rail: FakeRail) -> None:
    refund = refunds.request(paid().pk, reason="asked")
    rail.lose_answer = True
    rail.key_spent = True
    refunds.send(refund.pk)

    with clock.travel(timedelta(minutes=5)):
        refunds.send(refund.pk)

    refund.refresh_from_db()
    assert refund.state == "succeeded"
    assert len(rail.refunds) == 1
    assert refund.spent_keys == 1


def test_a_refund_from_the_dashboard_is_taken_in_once(rail: FakeRail) -> None:
    payment = paid(spent_minor=THOUSAND)
    answer = RefundAnswer("re_dashboard", "succeeded")

    for _ in range(2):
        refunds.record_foreign(payment.pk, amount_minor=5_99, reason="there", answer=answer)

    payment.refresh_from_db()
    assert payment.refunded_minor == 5_99
    assert balance(payment, "debt") == -THOUSAND
    assert Refund.objects.count() == 1


def test_a_dashboard_refund_that_had_failed_moves_nothing() -> None:
    payment = paid()

    refunds.record_foreign(
        payment.pk, amount_minor=1_00, reason="there", answer=RefundAnswer("re_x", "failed")
    )

    assert not Refund.objects.exists()


def test_unapplied_money_is_refunded_from_where_it_lies(settings: Settings) -> None:
    settings.UNAPPLIED_POLICY = "hold"
    order = make_order()
    make_payment(order)
    second = payments.settle(make_charge(order, tax_minor=99))

    refund = refunds.request(second.pk, reason="paid twice")
    refunds.send(refund.pk)

    assert moves(f"refund:{refund.pk}") == [("unapplied", "clearing:card", 5_99)]


def test_an_order_that_cannot_be_delivered_is_refunded_whole_and_delivered_no_more(
    rail: FakeRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Broken, "works", False)
    products.register(Broken())
    order = make_order(product_kind="broken_pack")
    payment = payments.settle(make_charge(order, tax_minor=99))
    with pytest.raises(NotRefundable):
        refunds.request(payment.pk, amount_minor=1_00, reason="part")

    refund = refunds.request(payment.pk, reason="broken")
    refunds.send(refund.pk)

    order.refresh_from_db()
    assert (order.status, order.delivered_at) == (OrderStatus.CANCELLED, None)
    assert moves(f"refund:{refund.pk}") == [
        ("deferred", "clearing:card", 5_00),
        ("tax", "clearing:card", 99),
    ]
    refunds.record(refund.pk, RefundAnswer("", "failed"))
    order.refresh_from_db()
    assert order.status == OrderStatus.PAID


def test_units_spent_between_pin_and_dashboard_refund_become_debt(rail: FakeRail) -> None:
    rail.refund_state = "sent"
    payment = paid(tax_minor=0)
    mine = refunds.request(payment.pk, amount_minor=2_00, reason="part")
    refunds.send(mine.pk)
    spend(payment.customer, 1_500_000_000)  # type: ignore[arg-type]

    refunds.record_foreign(
        payment.pk, amount_minor=3_00, reason="there", answer=RefundAnswer("re_d", "succeeded")
    )
    refunds.record(mine.pk, RefundAnswer("", "succeeded"))

    payment.refresh_from_db()
    assert payment.refunded_minor == 5_00
    assert balance(payment) == 0
    assert balance(payment, "debt") == -1_500_000_000


class ManyRefunds(TestCase):
    """Any sequence of part refunds takes back exactly what one whole refund would."""

    @settings(max_examples=25, deadline=None)
    @given(
        price=st.integers(1, 10_000),
        tax=st.integers(0, 3_000),
        cuts=st.lists(st.integers(1, 5_000), max_size=6),
        spent=st.integers(0, 100),
    )
    def test_part_refunds_add_up(self, price: int, tax: int, cuts: list[int], spent: int) -> None:
        rail = FakeRail()
        with only_rail(rail):
            order = make_order(subtotal_minor=price)
            payment = payments.settle(make_charge(order, tax_minor=tax))
            if spent:
                spend(order.customer, 2_500_000_000 * spent // 100, key=f"w{order.pk}")
                ledger.recognise(occurred_at=NOW)
            for cut in [*cuts, price + tax]:
                payment.refresh_from_db()
                amount = min(cut, payment.refundable.amount_minor)
                if amount:
                    refund = refunds.request(
                        payment.pk, amount_minor=amount, forced=True, reason="part"
                    )
                    refunds.send(refund.pk)
        payment.refresh_from_db()
        lot = Lot.objects.get(origin=f"order:{order.pk}")
        assert (payment.refunded_minor, payment.refunded_tax_minor) == (price + tax, tax)
        assert lot.refunded_minor == price
        assert (lot.recognised_minor, lot.breakage_minor) == (0, 0)
        taken_back = Transfer.objects.filter(
            code=Code.REVOKE, group__in=[f"refund:{one.pk}" for one in payment.refunds.all()]
        )
        assert sum(one.amount_minor for one in taken_back) == 2_500_000_000
