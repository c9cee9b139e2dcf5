"""The audit of a million debits ends in reasonable time, finds nothing, and still sees one unit."""

from __future__ import annotations

import time

import pytest
from django.db import connection

from accounts.models import Customer
from billing import ledger
from billing.money import CREDIT, USD
from billing.selectors import audit
from tests.factories import NOW

WALLETS, DEBITS_EACH = 2_000, 500
GRANTED, COST = 1_000, 100

# Rows as the functions would have written them, without asking the functions a million times.
FILL = """
SET LOCAL session_replication_role = replica;

INSERT INTO billing_ledgeraccount
    (owner_id, role, asset, kind, balance_minor, held_minor, cap_time_zone, created_at)
SELECT id, 'wallet', 'CREDIT', 'wallet', {granted} - {debits}, 0, 'UTC', now()
FROM accounts_customer;

INSERT INTO billing_transfer
    (source_id, target_id, amount_minor, code, key, group_key, occurred_at, created_at)
SELECT {clearing}, {deferred}, {cost}, 'fund', 'fund:' || id, 'g', now(), now()
FROM billing_ledgeraccount WHERE kind = 'wallet';

WITH granted AS (
    INSERT INTO billing_transfer
        (source_id, target_id, amount_minor, code, key, group_key, occurred_at, created_at)
    SELECT {issued}, id, {granted}, 'purchase', 'grant:' || id, 'g', now(), now()
    FROM billing_ledgeraccount WHERE kind = 'wallet' RETURNING id, target_id
)
INSERT INTO billing_lot
    (account_id, transfer_id, granted_minor, remaining_minor, held_minor, used_minor,
     revoked_minor, expired_minor, is_open, priority, promotional, origin, cost_minor, cost_asset,
     recognised_minor, breakage_minor, refunded_minor, revenue_bookings, created_at)
SELECT target_id, id, {granted}, {granted} - {debits}, 0, {debits}, 0, 0, true, 0, false, 'test',
       {cost}, 'USD', 0, 0, 0, 0, now()
FROM granted;

WITH spent AS (
    INSERT INTO billing_transfer
        (source_id, target_id, amount_minor, code, key, group_key, occurred_at, created_at)
    SELECT l.account_id, {consumed}, 1, 'usage', format('use:%s:%s', l.id, n), 'g', now(), now()
    FROM billing_lot l, generate_series(1, {debits}) n RETURNING id, source_id
)
INSERT INTO billing_lotuse (transfer_id, lot_id, amount_minor, returned_minor)
SELECT s.id, l.id, 1, 0 FROM spent s JOIN billing_lot l ON l.account_id = s.source_id;

SET LOCAL session_replication_role = origin;
ANALYZE
"""


@pytest.mark.prove
@pytest.mark.django_db
def test_a_million_debits_are_audited(capsys: pytest.CaptureFixture[str]) -> None:
    Customer.objects.bulk_create(Customer(email=f"{n}@example.com") for n in range(WALLETS))
    house = {
        role: ledger.system_account(role, asset).pk
        for role, asset in [("deferred", USD), ("issued", CREDIT), ("consumed", CREDIT)]
    }
    clearing = ledger.system_account("clearing:card", USD).pk
    with connection.cursor() as cursor:
        cursor.execute(
            FILL.format(granted=GRANTED, debits=DEBITS_EACH, cost=COST, clearing=clearing, **house)
        )

    started = time.monotonic()
    assert audit.differences(at=NOW) == []
    seconds = time.monotonic() - started

    with capsys.disabled():
        print(f"\n{WALLETS * DEBITS_EACH:,} debits audited in {seconds:.1f} s")
    assert seconds < 300
    with connection.cursor() as cursor:
        cursor.execute(
            "SET LOCAL session_replication_role = replica; UPDATE billing_lotuse "
            "SET returned_minor = 1 WHERE id = (SELECT max(id) FROM billing_lotuse)"
        )
    assert {found.check for found in audit.differences(at=NOW)} == {
        "what returns to a wallet was taken",
        "lot's counters are the sums of its uses",
    }
