"""Refunds and disputes that come and go in any order: the documents always add up to what is kept.

Nothing that was issued is ever changed, and no number is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.errors import NotRefundable
from billing.models import Dispute, DisputeState, Invoice, InvoiceKind, Payment, RefundState
from billing.selectors import audit, audit_invoices
from billing.services import disputes, invoice_drafts, invoices, refunds
from billing.services.rails import RefundAnswer
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW, make_payment

pytestmark = pytest.mark.django_db

_numbers = itertools.count(1)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 6_00)),
        st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(RefundState.values)),
        st.tuples(st.just("dispute"), st.sampled_from(DisputeState.values), st.integers(1, 6_00)),
        st.tuples(st.just("correct"), st.sampled_from(["open", "won", "lost"])),
        st.tuples(st.just("draft")),
        st.tuples(st.just("issue")),
        st.tuples(st.just("issue and fail")),
    ),
    min_size=3,
    max_size=20,
)


@pytest.fixture(autouse=True)
def _rail() -> Iterator[None]:
    with only_rail(FakeRail()), clock.frozen(NOW):
        yield
        assert audit.differences() == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tax=st.sampled_from([0, 1, 99]), told=steps)
def test_documents_add_up_to_what_was_kept(tax: int, told: list[tuple[Any, ...]]) -> None:
    history = History(tax)
    for name, *values in told:
        getattr(history, name.replace(" ", "_"))(*values)
        history.check()
    history.end()


class History:
    """One payment, what became of it, and what its documents say."""

    def __init__(self, tax_minor: int) -> None:
        self.payment_id = make_payment(tax_minor=tax_minor).pk
        self.name = f"dp_{next(_numbers)}"
        self.issued: dict[object, tuple[object, ...]] = {}

    def ask(self, amount_minor: int) -> None:
        with suppress(NotRefundable):
            refunds.request(self.payment_id, reason="any", amount_minor=amount_minor, forced=True)

    def answer(self, place: int, state: str) -> None:
        """A provider says anything, or staff do: also that what failed was made after all."""
        made = list(self._payment().refunds.order_by("pk"))
        if not made or state == RefundState.REQUESTED:
            return
        refund = made[place % len(made)]
        if refund.state == RefundState.FAILED and refund.amount_minor > self._left():
            return
        with suppress(NotRefundable):
            refunds.record(refund.pk, RefundAnswer(f"re_{refund.pk}", state), even_back=True)

    def dispute(self, state: str, amount_minor: int) -> None:
        known = Dispute.objects.filter(external_id=self.name).first()
        amount = known.amount_minor if known else amount_minor
        disputes.record(self.payment_id, self._claim(state, amount, known))

    def correct(self, state: str) -> None:
        known = Dispute.objects.filter(external_id=self.name).first()
        if known is not None:
            disputes.correct(self.payment_id, self._claim(state, known.amount_minor, known))

    def draft(self) -> None:
        invoice_drafts.draft_missing()

    def issue(self) -> None:
        invoices.issue_due()

    def issue_and_fail(self) -> None:
        with suppress(ZeroDivisionError), transaction.atomic():
            invoices.issue_due()
            raise ZeroDivisionError

    def end(self) -> None:
        for _ in range(4):
            invoices.issue_due()
        self.check()
        assert not Invoice.objects.filter(number=None).exists()
        assert invoices.issue_due(look_back_seconds=None) == 0

    def check(self) -> None:
        with connection.cursor() as cursor:
            for check in audit_invoices.CHECKS.values():
                cursor.execute(check)
                assert cursor.fetchall() == []
        for pk, row in self.issued.items():
            assert self._rows().get(pk) == row
        self.issued = self._rows()
        if Invoice.objects.filter(payment=self.payment_id).exists():
            assert self._documented() == self._kept()

    def _documented(self) -> int:
        sign = {InvoiceKind.INVOICE: 1, InvoiceKind.CREDIT_NOTE: -1, InvoiceKind.REVERSAL: 1}
        order = self._payment().order
        found = Invoice.objects.filter(order=order)
        return sum(sign[InvoiceKind(one.kind)] * one.total_minor for one in found)

    def _kept(self) -> int:
        payment = self._payment()
        refunded = payment.refunds.filter(state=RefundState.SUCCEEDED)
        lost = payment.disputes.filter(state=DisputeState.LOST, is_frozen=True)
        gone = refunded.aggregate(total=Sum("amount_minor"))["total"] or 0
        return payment.amount_minor - gone - (lost.aggregate(t=Sum("frozen_minor"))["t"] or 0)

    def _rows(self) -> dict[object, tuple[object, ...]]:
        """All that is issued, column by column."""
        rows = Invoice.objects.filter(number__isnull=False).values_list()
        return {row[0]: row for row in rows}

    def _claim(self, state: str, amount_minor: int, known: Dispute | None) -> disputes.Claim:
        """Once money has moved it stays so; winning gives it back, losing after it takes it."""
        is_out = state in (DisputeState.OPEN, DisputeState.LOST)
        out, back = (known.withdrawn_minor, known.reinstated_minor) if known else (0, 0)
        if is_out and out == back:
            out += amount_minor
        if state == DisputeState.WON:
            back = out
        return disputes.Claim(
            external_id=self.name,
            state=DisputeState(state),
            provider_status=state,
            reason="any",
            amount_minor=amount_minor,
            withdrawn_minor=out,
            reinstated_minor=back,
            fee_minor=0,
            opened_at=NOW,
            evidence_due_at=None,
        )

    def _left(self) -> int:
        return self._payment().refundable.amount_minor

    def _payment(self) -> Payment:
        return Payment.objects.select_related("order").get(pk=self.payment_id)
