"""check_ledger passes when the books are right, and names what was tampered with."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

from billing.selectors import audit
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.ledger.story import LATER, tell

pytestmark = pytest.mark.django_db

# Check → how to break what it looks at. Triggers are off meanwhile; constraints stay on.
DAMAGE = {
    "counter is the sum of transfers": """
        UPDATE billing_ledgeraccount SET balance_minor = balance_minor + 1
        WHERE role = 'creator'""",
    "wallet is the sum of its lots": """
        UPDATE billing_ledgeraccount SET balance_minor = balance_minor + 1
        WHERE role = 'wallet'""",
    "held is the sum of open holds": """
        UPDATE billing_ledgeraccount SET held_minor = held_minor - 1 WHERE held_minor > 0""",
    "account is of its role's kind": """
        UPDATE billing_ledgeraccount SET role = 'wallet' WHERE role = 'unapplied'""",
    "debt is paid while units are free": """
        UPDATE billing_lot SET promotional = false FROM billing_transfer t
        WHERE t.id = transfer_id AND t.key = 'gift';
        UPDATE billing_lot SET remaining_minor = 1, used_minor = granted_minor - 1, is_open = true
        FROM billing_transfer t WHERE t.id = transfer_id AND t.key = 'gift'""",
    "asset nets to zero": "UPDATE billing_transfer SET target_id = 0 WHERE code = 'tax'",
    "snapshot is the sum of older transfers": """
        UPDATE billing_accountsnapshot SET balance_minor = balance_minor - 1""",
    "transfer joins two accounts of one asset": """
        UPDATE billing_transfer SET target_id = (
            SELECT id FROM billing_ledgeraccount WHERE role = 'consumed') WHERE code = 'tax'""",
    "no more is reversed than moved": """
        UPDATE billing_transfer SET amount_minor = amount_minor + 100
        WHERE reverses_id IS NOT NULL""",
    "what leaves a wallet leaves its lots": """
        DELETE FROM billing_lotuse USING billing_transfer t
        WHERE t.id = transfer_id AND t.key = 'capture'""",
    "what returns to a wallet was taken": """
        UPDATE billing_lotuse SET returned_minor = returned_minor + 1
        WHERE returned_minor < amount_minor""",
    "what enters a wallet is a lot": "DELETE FROM billing_lot WHERE promotional",
    "lot came with a transfer into its wallet": """
        UPDATE billing_lot SET transfer_id = (
            SELECT min(id) FROM billing_transfer WHERE code = 'tax') WHERE promotional""",
    "lot use joins a transfer and a lot of one wallet": """
        UPDATE billing_lotuse SET lot_id = -1 WHERE id = (SELECT min(id) FROM billing_lotuse)""",
    "lot's counters are the sums of its uses": """
        UPDATE billing_lot SET used_minor = used_minor - 1, expired_minor = expired_minor + 1
        WHERE used_minor > 0""",
    "lot replaces an expired one of its wallet": """
        UPDATE billing_lot SET replaces_id = (
            SELECT id FROM billing_lot WHERE promotional LIMIT 1) WHERE replaces_id IS NOT NULL""",
    "lot's held is the sum of its pins": """
        UPDATE billing_lot SET held_minor = held_minor - 1 WHERE held_minor > 0""",
    "hold is the sum of its pins": "DELETE FROM billing_holdlot",
    "pin joins a hold and a lot of one wallet": """
        UPDATE billing_holdlot SET lot_id = (SELECT id FROM billing_lot WHERE promotional LIMIT 1)
        WHERE id = (SELECT min(id) FROM billing_holdlot)""",
    "captured hold has its transfer": """
        UPDATE billing_hold SET captured_minor = captured_minor - 1 WHERE state = 'captured'""",
    "closed hold says when": "UPDATE billing_hold SET closed_at = NULL WHERE state = 'released'",
    "spend cap counts what was spent": """
        UPDATE billing_spendcapperiod SET used_minor = used_minor + 10000""",
    "lot's revenue is what was booked": """
        UPDATE billing_lot SET recognised_minor = recognised_minor + 1
        WHERE recognised_minor > 0""",
    "lots' revenue is what the house has": """
        UPDATE billing_lot SET recognised_minor = recognised_minor - 1
        WHERE recognised_minor > 0""",
    "lots' refunds are what was booked": """
        UPDATE billing_lot SET refunded_minor = refunded_minor - 1 WHERE refunded_minor > 0""",
    "payment came through clearing": """
        UPDATE billing_payment SET amount_minor = amount_minor + 1""",
    "payment's fee is booked": """
        UPDATE billing_payment SET fee_minor = fee_minor + 1 WHERE fee_minor IS NOT NULL""",
    "payment counts its refunds and disputes": """
        UPDATE billing_payment SET refunded_minor = refunded_minor - 1 WHERE refunded_minor > 0""",
    "refund went through clearing": """
        DELETE FROM billing_transfer WHERE key ~ '^refund:.*:tax$'""",
    "disputed money is there": """
        UPDATE billing_dispute SET withdrawn_minor = withdrawn_minor - 1
        WHERE withdrawn_minor > 0""",
    "unapplied money is there": """
        DELETE FROM billing_payment WHERE order_id IS NULL""",
    "paid order has its payment": """
        UPDATE billing_order SET discount_minor = discount_minor + 1 WHERE status = 'paid'""",
    "delivered credits are a lot": """
        UPDATE billing_lot SET cost_minor = cost_minor + 1 WHERE origin ~ '^order:'""",
    "lot of an order was delivered": """
        UPDATE billing_order SET delivered_at = NULL WHERE delivered_at IS NOT NULL""",
    "deferred money belongs to lots, periods and orders": """
        UPDATE billing_transfer SET amount_minor = amount_minor + 1 WHERE code = 'fund'""",
    "split is booked": """
        UPDATE billing_split SET reversed_creator_minor = reversed_creator_minor + 1""",
    "invoice numbers have no gap": """
        UPDATE billing_invoiceseries SET last_number = last_number + 1""",
    "invoice says what was paid": """
        UPDATE billing_invoice SET tax_minor = tax_minor + 1 WHERE kind = 'invoice'""",
    "credit notes less reversals are what went back": """
        DELETE FROM billing_invoice WHERE kind = 'reversal'""",
    "documents correct the right one": """
        UPDATE billing_invoice SET tax_minor = tax_minor + 1 WHERE kind = 'reversal'""",
    "periods of a subscription never overlap": """
        UPDATE billing_subscriptionperiod SET ends_at = billed_until_at
        WHERE ends_at < billed_until_at""",
    "period costs what was paid and carried to it": """
        UPDATE billing_subscriptionperiod SET cost_minor = cost_minor + 1""",
    "what is carried out of a period arrives in another": """
        UPDATE billing_subscriptionperiod SET carried_to_id = NULL
        WHERE carried_to_id IS NOT NULL""",
    "period's revenue and refunds are what was booked": """
        UPDATE billing_subscriptionperiod SET refunded_minor = refunded_minor - 1
        WHERE refunded_minor > 0""",
    "delivered plan is a period of its customer": """
        UPDATE billing_order SET delivered_at = NULL WHERE product_kind = 'plan'""",
    "prepaid time ends when what was paid does": """
        UPDATE billing_subscription SET period_ends_at = period_ends_at + interval '1 second'""",
    "payment from credits left the wallet": """
        UPDATE billing_payment SET customer_id = (
            SELECT id FROM accounts_customer ORDER BY id LIMIT 1) WHERE rail = 'wallet'""",
    "refund to credits reached the wallet": """
        DELETE FROM billing_transfer WHERE key ~ '^wallet:refund:'""",
    "auto top-up stays within what was agreed to": """
        UPDATE billing_autotopup SET monthly_max_minor = monthly_max_minor + 1""",
    "charge of auto top-up is its order's": """
        UPDATE billing_autotopupcharge SET state = 'declined'""",
    "nothing stays on the way from wallets": """
        UPDATE billing_transfer SET amount_minor = amount_minor - 1
        WHERE key ~ '^order:.*:wallet$'""",
}


@pytest.fixture(autouse=True)
def _books(settings: object) -> Iterator[None]:
    settings.UNAPPLIED_POLICY = "hold"  # type: ignore[attr-defined]
    with only_rail(FakeRail()):
        tell()
    with clock.frozen(LATER):
        yield


def plant(sql: str) -> int:
    """Run it with triggers off; how many rows the last statement hit."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)
        hit = int(cursor.rowcount)
        cursor.execute("SET LOCAL session_replication_role = origin")
    return hit


def test_every_check_is_tried() -> None:
    assert set(DAMAGE) == set(audit.CHECKS)


@pytest.mark.parametrize("check", audit.CHECKS)
def test_each_kind_of_damage_is_named(check: str) -> None:
    assert plant(DAMAGE[check]) > 0

    named = [difference for difference in audit.differences() if difference.check == check]

    assert named
    assert all(one.expected != one.found for one in named)


def test_the_command_is_content_with_right_books() -> None:
    out = io.StringIO()

    call_command("check_ledger", stdout=out)

    assert out.getvalue() == f"The books add up: {len(audit.CHECKS)} checks, no difference.\n"


def test_the_command_names_each_difference_and_fails() -> None:
    plant(DAMAGE["split is booked"])
    plant(DAMAGE["hold is the sum of its pins"])
    err = io.StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_ledger", stderr=err)

    assert ended.value.code == 1
    assert "split is booked: billing_split" in err.getvalue()
    assert "hold is the sum of its pins: billing_hold" in err.getvalue()
