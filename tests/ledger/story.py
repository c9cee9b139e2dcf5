"""Books with a bit of everything in them, made by the real services."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from billing import ledger
from billing.models import DisputeState, LedgerAccount, Payment
from billing.money import CREDIT, USD, Money
from billing.rails.wallet import paying
from billing.rails.wallet.rail import WalletRail
from billing.selectors import audit
from billing.services import (
    auto_top_up_charges,
    disputes,
    invoices,
    payments,
    plan_changes,
    refunds,
    splits,
    subscription_periods,
)
from billing.services.rails import RefundAnswer
from common import clock
from tests.billing.charging import FakeChargingRail, switched_on
from tests.billing.fakes import only_rail
from tests.billing.prepaid import bought, rich
from tests.factories import NOW, make_customer, make_order, make_payment

DAY = timedelta(days=1)
LATER = NOW + 40 * DAY


def tell() -> None:
    """Purchases, refunds, spends, holds, debts, an expired lot that came back, caps, a split."""
    with clock.frozen(NOW):
        _sold_and_refunded()
        _held()
        _owing()
        _expired_and_returned()
        _shared()
        _disputed()
        _subscribed()
        _topped_up()
        make_payment(make_order(), subtotal_minor=4_99)  # does not fit: unapplied
        invoices.issue_due()  # the sales, and what of them went back
        _taken_back()
        invoices.issue_due()  # what went back after all
    _snapshots()
    with clock.frozen(LATER):
        found = audit.differences()
        assert not found, [str(difference) for difference in found]


def _wallet_of(payment: Payment) -> LedgerAccount:
    assert payment.customer is not None
    return ledger.wallet(payment.customer, CREDIT)


def _sold_and_refunded() -> None:
    payment = make_payment(tax_minor=99)
    payments.book_fee(payment.pk, 45)
    ledger.spend(_wallet_of(payment), 1_000_000_000, code="usage", key="worked", occurred_at=NOW)
    ledger.recognise(occurred_at=NOW)
    refund = refunds.request(payment.pk, reason="asked", amount_minor=1_00)
    refunds.send(refund.pk)


def _taken_back() -> None:
    """A refund that fails after its credit note was issued."""
    payment = make_payment(tax_minor=99)
    refund = refunds.request(payment.pk, reason="asked", amount_minor=2_00)
    refunds.record(refund.pk, RefundAnswer("re_back", "succeeded"))
    invoices.issue_due()
    refunds.record(refund.pk, RefundAnswer("re_back", "failed", "bounced"))


def _held() -> None:
    wallet = _wallet_of(make_payment())
    ledger.set_spend_cap(wallet, 900, anchor_at=NOW - DAY, zone="Europe/Berlin", at=NOW)
    for key, amount in [("open", 100), ("captured", 200), ("released", 300)]:
        hold = ledger.reserve(
            wallet, amount, code="usage", key=key, deadline_at=None, occurred_at=NOW
        )
        if key == "captured":
            ledger.capture(hold, 150, key="capture", occurred_at=NOW)
        if key == "released":
            ledger.release(hold.pk, occurred_at=NOW)


def _owing() -> None:
    customer = make_customer()
    wallet = ledger.wallet(customer, CREDIT)
    ledger.claw_back(wallet, 70, key="clawed", group="g", occurred_at=NOW)
    ledger.grant(
        wallet,
        50,
        code="promotion",
        key="gift",
        group="g",
        occurred_at=NOW,
        origin="gift",
        promotional=True,
    )
    debit = ledger.Debit(wallet, 80, "usage", "too much", owed_on="accrued")
    ledger.spend_many([debit], occurred_at=NOW)
    ledger.unwind("too much", 40, code="usage_refund", key="sorry", group="g", occurred_at=NOW)


def _expired_and_returned() -> None:
    wallet = ledger.wallet(make_customer(), CREDIT)
    ledger.grant(
        wallet,
        100,
        code="promotion",
        key="short-lived",
        group="g",
        occurred_at=NOW,
        origin="gift",
        expires_at=NOW + DAY,
    )
    ledger.spend(wallet, 60, code="usage", key="in time", occurred_at=NOW)
    ledger.expire(occurred_at=NOW + 2 * DAY)
    ledger.unwind(
        "in time", 30, code="usage_refund", key="back", group="g", occurred_at=NOW + 2 * DAY
    )


def _shared() -> None:
    clearing = ledger.system_account("clearing:card", USD)
    rule = splits.Rule(9000, "test")
    splits.book(
        "sale", net=Money(10, USD), creator=make_customer(), rule=rule, source=clearing, at=NOW
    )
    splits.reverse(
        "sale", refund_key="back:1", refunded_net_minor=5, target="clearing:card", at=NOW
    )


def _disputed() -> None:
    payment = make_payment(tax_minor=99)
    disputes.record(
        payment.pk,
        disputes.Claim(
            external_id="dp_1",
            state=DisputeState.OPEN,
            provider_status="needs_response",
            reason="fraudulent",
            amount_minor=payment.amount_minor,
            withdrawn_minor=payment.amount_minor,
            reinstated_minor=0,
            fee_minor=15_00,
            opened_at=NOW,
            evidence_due_at=None,
        ),
    )


def _subscribed() -> None:
    """A prepaid plan, extended, changed for a better one, earning, refunded in part."""
    with only_rail(WalletRail()):
        customer = rich()
        bought(customer)
        bought(customer)
    later = NOW + 10 * DAY
    with clock.frozen(later), only_rail(WalletRail()):
        subscription_periods.recognise_due()
        quote = plan_changes.quote(customer, "premium", "month")
        order = plan_changes.confirm(customer, quote.token, placed_by=None).order
        assert order is not None
        payment = paying.pay(customer, order.pk)
    with clock.frozen(later + 10 * DAY), only_rail(WalletRail()):
        subscription_periods.recognise_due()
        # More than is unearned of it: some of what was earned goes back, too.
        refund = refunds.request(
            payment.pk, reason="asked", amount_minor=payment.amount_minor, forced=True
        )
        refunds.send(refund.pk)


def _topped_up() -> None:
    """Credits that were bought by themselves."""
    with only_rail(FakeChargingRail()):
        auto_top_up_charges.look(switched_on(left=100).pk)


def _snapshots() -> None:
    """Let half of the transfers be of last week, and take two snapshots since."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SET LOCAL session_replication_role = replica;
            UPDATE billing_transfer SET created_at = created_at - interval '7 days'
            WHERE id %% 2 = 0;
            SET LOCAL session_replication_role = origin;
            SELECT ledger_snapshot(now() - interval '8 days'),
                   ledger_snapshot(now() - interval '2 days')
            """.replace("%%", "%")
        )
