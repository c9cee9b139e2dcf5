"""Disputes: frozen when opened, debited when lost, restored when won, in any order of events."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from billing import ledger
from billing.errors import InsufficientFunds, NotRefundable
from billing.models import Code, Dispute, DisputeState, LedgerAccount, Lot, Payment, Transfer
from billing.money import CREDIT, USD, Money
from billing.selectors import audit
from billing.services import disputes, payments, products, refunds, splits
from billing.services.disputes import Claim
from billing.services.rails import RefundAnswer
from tests.billing.fakes import FakeRail, only_rail
from tests.billing.test_settle import Broken
from tests.factories import NOW, make_charge, make_customer, make_order, make_payment

pytestmark = pytest.mark.django_db

THOUSAND = 1_000_000_000
PACK = 2_500_000_000

# Shrinking a failure of this test takes minutes; its steps are few and printed as they are.
EXPLORE = (Phase.explicit, Phase.reuse, Phase.generate)

CLAIM = Claim(
    external_id="du_1",
    state=DisputeState.OPEN,
    provider_status="needs_response",
    reason="fraudulent",
    amount_minor=5_00,
    withdrawn_minor=0,
    reinstated_minor=0,
    fee_minor=0,
    opened_at=NOW,
    evidence_due_at=None,
)


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    """The only rail there is."""
    fake = FakeRail()
    with only_rail(fake):
        yield fake


def paid(*, tax_minor: int = 0, spent_minor: int = 0) -> Payment:
    """A small pack, some of it spent and recognised."""
    payment = make_payment(tax_minor=tax_minor)
    assert payment.customer is not None
    if spent_minor:
        wallet = ledger.wallet(payment.customer, CREDIT)
        ledger.spend(wallet, spent_minor, code=Code.USAGE, key="work", occurred_at=NOW)
        ledger.recognise(occurred_at=NOW)
    return payment


def tell(payment: Payment, **changes: object) -> Dispute:
    """The rail reports the dispute as it stands."""
    return disputes.record(payment.pk, replace(CLAIM, **changes))  # type: ignore[arg-type]


def total_of(role: str) -> int:
    """What a system account has, over all its transfers."""
    account = ledger.system_account(role, USD)
    into = sum(one.amount_minor for one in Transfer.objects.filter(target=account))
    return into - sum(one.amount_minor for one in Transfer.objects.filter(source=account))


def owed(payment: Payment) -> int:
    """What the payer owes in credits."""
    assert payment.customer is not None
    return -int(ledger.debt(payment.customer, CREDIT).balance_minor or 0)


def wallet_of(payment: Payment) -> LedgerAccount:
    """The payer's wallet as it is now."""
    assert payment.customer is not None
    return ledger.wallet(payment.customer, CREDIT)


def moves(dispute: Dispute) -> list[tuple[str, str, int]]:
    """The dispute's transfers as (source role, target role, amount)."""
    rows = Transfer.objects.filter(group=f"dispute:{dispute.pk}").select_related("source", "target")
    return [(row.source.role, row.target.role, row.amount_minor) for row in rows.order_by("pk")]


def test_opening_freezes_the_money_and_the_units() -> None:
    payment = paid(tax_minor=99)

    dispute = tell(payment, amount_minor=5_99)

    assert moves(dispute) == [("deferred", "disputed", 5_00), ("tax", "disputed", 99)]
    wallet = wallet_of(payment)
    assert (wallet.balance_minor, wallet.held_minor) == (PACK, PACK)
    with pytest.raises(InsufficientFunds):
        ledger.spend(wallet, 1, code=Code.USAGE, key="more", occurred_at=NOW)


def test_losing_takes_units_and_money_for_good() -> None:
    payment = paid(spent_minor=THOUSAND)
    tell(payment)

    tell(payment, withdrawn_minor=5_00, fee_minor=15_00)
    dispute = tell(payment, state=DisputeState.LOST, withdrawn_minor=5_00, fee_minor=15_00)

    assert dispute.closed_at is not None
    assert wallet_of(payment).balance_minor == 0
    assert owed(payment) == THOUSAND
    assert (total_of("disputed"), total_of("provider_fee")) == (0, -15_00)
    # 5.00 came, 5.00 and the fee of 15.00 went.
    assert total_of("clearing:card") == 15_00
    assert audit.differences() == []


def test_winning_puts_everything_back() -> None:
    payment = paid(tax_minor=99, spent_minor=THOUSAND)
    before = {role: total_of(role) for role in ("clearing:card", "tax", "disputed")}
    tell(payment, amount_minor=5_99, withdrawn_minor=5_99)

    dispute = tell(
        payment,
        amount_minor=5_99,
        state=DisputeState.WON,
        withdrawn_minor=5_99,
        reinstated_minor=5_99,
    )

    payment.refresh_from_db()
    wallet = wallet_of(payment)
    assert {role: total_of(role) for role in before} == before
    assert (wallet.balance_minor, wallet.held_minor) == (1_500_000_000, 0)
    assert (payment.refunding_minor, payment.refunded_minor) == (0, 0)
    assert not dispute.is_frozen
    assert audit.differences() == []


def test_repeating_an_event_changes_nothing() -> None:
    payment = paid()
    for state in (DisputeState.OPEN, DisputeState.LOST):
        tell(payment, state=state, withdrawn_minor=5_00, fee_minor=15_00)
        count = Transfer.objects.count()
        tell(payment, state=state, withdrawn_minor=5_00, fee_minor=15_00)
        assert Transfer.objects.count() == count


def test_a_dispute_first_heard_of_when_it_was_lost_ends_the_same() -> None:
    payment = paid(spent_minor=THOUSAND)

    tell(payment, state=DisputeState.LOST, withdrawn_minor=5_00, fee_minor=15_00)

    assert owed(payment) == THOUSAND
    assert total_of("disputed") == 0
    assert audit.differences() == []


def test_an_inquiry_moves_nothing_until_it_becomes_a_dispute() -> None:
    payment = paid()

    inquiry = tell(payment, state=DisputeState.INQUIRY)
    assert moves(inquiry) == []
    tell(payment)

    assert moves(inquiry) == [("deferred", "disputed", 5_00)]


def test_an_inquiry_that_is_closed_leaves_no_trace_in_the_ledger() -> None:
    payment = paid()
    tell(payment, state=DisputeState.INQUIRY)

    dispute = tell(payment, state=DisputeState.WON)

    assert moves(dispute) == []


def test_disputed_money_cannot_be_refunded_as_well() -> None:
    payment = paid()
    tell(payment)

    with pytest.raises(NotRefundable):
        refunds.request(payment.pk, amount_minor=1, forced=True, reason="asked")


def test_what_was_refunded_before_the_dispute_is_our_loss() -> None:
    payment = paid()
    refund = refunds.request(payment.pk, amount_minor=2_00, reason="part")
    refunds.send(refund.pk)

    tell(payment)
    dispute = tell(payment, state=DisputeState.LOST, withdrawn_minor=5_00)

    assert dispute.frozen_minor == 3_00
    assert (total_of("chargeback_loss"), total_of("disputed")) == (-2_00, 0)
    assert owed(payment) == 0
    assert audit.differences() == []


@pytest.mark.parametrize("decided", [DisputeState.WON, DisputeState.LOST])
def test_a_claim_that_was_read_before_the_decision_changes_nothing(decided: DisputeState) -> None:
    payment = paid()
    cash = {"withdrawn_minor": 5_00, "fee_minor": 15_00}
    given = {"reinstated_minor": 5_00} if decided == DisputeState.WON else {}
    for state, seen in ((DisputeState.OPEN, cash), (decided, cash | given)):
        tell(payment, state=state, **seen)
    count = Transfer.objects.count()

    for state, seen in ((DisputeState.INQUIRY, {}), (DisputeState.OPEN, cash)):
        assert tell(payment, state=state, **seen).state == decided

    assert Transfer.objects.count() == count
    assert Dispute.objects.get().state == decided


def test_a_dispute_that_opens_again_when_money_moves_again_is_frozen_again() -> None:
    payment = paid()
    tell(payment, withdrawn_minor=5_00)
    tell(payment, state=DisputeState.WON, withdrawn_minor=5_00, reinstated_minor=5_00)

    tell(payment, withdrawn_minor=10_00, reinstated_minor=5_00)

    wallet = wallet_of(payment)
    assert (wallet.balance_minor, wallet.held_minor) == (PACK, PACK)
    assert audit.differences() == []


@pytest.mark.parametrize("lost_before", [False, True])
def test_a_refund_that_fails_under_a_dispute_is_frozen_with_the_rest(
    rail: FakeRail, lost_before: bool
) -> None:
    payment = paid(tax_minor=99, spent_minor=THOUSAND)
    refund = refunds.request(payment.pk, reason="asked")
    refunds.send(refund.pk)
    seen = {"amount_minor": 5_99, "withdrawn_minor": 5_99}
    tell(payment, **seen)
    if lost_before:
        tell(payment, state=DisputeState.LOST, **seen)

    refunds.record(refund.pk, RefundAnswer("re_1", "failed"))

    wallet = wallet_of(payment)
    assert (wallet.balance_minor or 0) == (wallet.held_minor or 0)  # nothing to spend
    dispute = tell(payment, state=DisputeState.LOST, **seen)
    assert (dispute.frozen_minor, dispute.frozen_tax_minor) == (5_99, 99)
    assert (wallet_of(payment).balance_minor, owed(payment)) == (0, THOUSAND)
    assert (total_of("chargeback_loss"), total_of("disputed"), total_of("tax")) == (0, 0, 0)
    assert audit.differences() == []


def test_an_order_that_was_never_delivered_is_cancelled_and_resumed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Broken, "works", False)
    products.register(Broken())
    order = make_order(product_kind="broken_pack")
    payment = payments.settle(make_charge(order))

    tell(payment)
    order.refresh_from_db()
    assert order.status == "cancelled"

    tell(payment, state=DisputeState.WON)
    order.refresh_from_db()
    assert order.status == "paid"


def test_a_split_sale_is_frozen_and_restored_as_in_example_7() -> None:
    creator = make_customer()
    clearing = ledger.system_account("clearing:card", USD)
    net = Money(10_00, USD)
    rule = splits.Rule(9000, "v1")
    splits.book("payment:ag", net=net, creator=creator, rule=rule, source=clearing, at=NOW)
    earned = ledger.balance_account(creator, "creator", USD)

    splits.reverse(
        "payment:ag", refund_key="dispute:1", refunded_net_minor=10_00, target="disputed", at=NOW
    )
    earned.refresh_from_db()
    assert (earned.balance_minor, total_of("platform_fee"), total_of("disputed")) == (0, 0, 10_00)

    for _ in range(2):
        splits.restore("payment:ag", refund_key="dispute:1", at=NOW)
    earned.refresh_from_db()
    assert (earned.balance_minor, total_of("platform_fee"), total_of("disputed")) == (900, 100, 0)
    assert audit.differences() != []  # the sale has no Payment row in this test…
    assert not [one for one in audit.differences() if "split" in one.check]


class AnyEnding(TestCase):
    """However a payment is refunded, disputed, won and lost, the books add up to the cent."""

    @settings(max_examples=15, deadline=None, phases=EXPLORE)
    @given(
        spent=st.integers(0, 100),
        tax=st.integers(0, 200),
        acts=st.lists(
            st.tuples(st.sampled_from(["refund", "dispute", "win", "lose"]), st.integers(1, 300)),
            max_size=8,
        ),
    )
    def test_the_books_add_up(self, spent: int, tax: int, acts: list[tuple[str, int]]) -> None:
        numbers = itertools.count(1)
        rail = FakeRail()
        with only_rail(rail):
            payment = make_payment(tax_minor=tax)
            wallet = wallet_of(payment)
            if spent:
                part = PACK * spent // 100
                ledger.spend(wallet, part, code=Code.USAGE, key="w", occurred_at=NOW)
            claims: list[Claim] = []
            for act, cents in acts:
                payment.refresh_from_db()
                amount = min(cents, payment.refundable.amount_minor)
                if act == "refund" and amount:
                    refund = refunds.request(
                        payment.pk, amount_minor=amount, forced=True, reason="part"
                    )
                    refunds.send(refund.pk)
                elif act == "dispute" and amount:
                    claim = replace(
                        CLAIM,
                        external_id=f"du_{next(numbers)}",
                        amount_minor=amount,
                        withdrawn_minor=amount,
                    )
                    disputes.record(payment.pk, claim)
                    claims.append(claim)
                elif act in ("win", "lose") and claims:
                    claim = claims.pop()
                    ending = (
                        replace(claim, state=DisputeState.WON, reinstated_minor=claim.amount_minor)
                        if act == "win"
                        else replace(claim, state=DisputeState.LOST)
                    )
                    disputes.record(payment.pk, ending)
                ledger.recognise(occurred_at=NOW)
            assert audit.differences() == []
        payment.refresh_from_db()
        lot = Lot.objects.get(origin=f"order:{payment.order_id}")
        assert lot.refunded_minor == payment.refunded_minor - payment.refunded_tax_minor
