"""The set-up with two roles, exactly as docs/ledger.md prints it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction

from accounts.models import Customer
from billing import checks, installed_sql, ledger
from billing.models import Lot
from billing.money import CREDIT, USD
from billing.selectors import audit
from billing_project.paths import BASE_DIR
from tests.factories import NOW

# Roles belong to the whole cluster, which other runs of the tests use too.
_OURS = secrets.token_hex(4)
OWNER, APP = f"portal_owner_{_OURS}", f"portal_app_{_OURS}"


def block(title: str) -> str:
    """The SQL under that mark, for roles of this process's own."""
    text = (BASE_DIR / "docs" / "ledger.md").read_text()
    found = re.search(rf"<!-- hardened: {title} -->\n```sql\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1].replace("portal_owner", OWNER).replace("portal_app", APP)


def run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def as_app(own_database: str) -> Iterator[None]:
    """A connection with the rights of the application's role; superuser rights come back after."""
    run(block("roles"))
    try:
        run(block("hand over"))
        run(f"SET ROLE {OWNER}")
        run(block("after each migrate"))
        run(f"SET ROLE {APP}")
        yield
    finally:
        run("RESET ROLE")
        run(f"REASSIGN OWNED BY {OWNER} TO CURRENT_USER")
        run(f"DROP OWNED BY {APP}, {OWNER}")
        run(f"DROP ROLE {APP}, {OWNER}")


def refusal_of(sql: str) -> str:
    with pytest.raises(DatabaseError) as caught, transaction.atomic():
        run(sql)
    return str(getattr(caught.value.__cause__, "sqlstate", None))


NOT_ALLOWED = "42501"


def test_the_application_moves_value_through_the_functions_only(as_app: None) -> None:
    customer = Customer.objects.create(email="a@example.com")
    wallet = ledger.wallet(customer, CREDIT)
    clearing = ledger.system_account("clearing:card", USD)
    deferred = ledger.system_account("deferred", USD)
    ledger.post([ledger.Leg(clearing, deferred, 500, "fund", "f")], group="g", occurred_at=NOW)
    lot = ledger.grant(
        wallet, 100, code="purchase", key="g", group="g", occurred_at=NOW, origin="test",
        cost_minor=500, cost_asset=USD,
    )  # fmt: skip
    ledger.set_spend_cap(wallet, 100, anchor_at=NOW, zone="UTC", at=NOW)
    ledger.spend(wallet, 10, code="usage", key="s", occurred_at=NOW)
    debit = ledger.Debit(wallet, 10, "usage", "m")
    ledger.spend_many([debit], occurred_at=NOW)
    ledger.unwind("s", 5, code="usage_refund", key="u", group="g", occurred_at=NOW)
    hold = ledger.reserve(wallet, 20, code="usage", key="h", deadline_at=NOW, occurred_at=NOW)
    ledger.capture(hold, 5, key="c", occurred_at=NOW)
    pin = ledger.pin(lot, 5, key="p", group="g", occurred_at=NOW)
    assert pin is not None
    ledger.release(pin.pk, occurred_at=NOW)
    ledger.refund_cost(lot, 50, target="clearing:card", key="r", group="g", occurred_at=NOW)
    ledger.unrefund_cost(lot, 50, source="clearing:card", key="b", group="g", occurred_at=NOW)
    ledger.claw_back(wallet, 5, key="k", group="g", occurred_at=NOW)
    assert ledger.recognise(occurred_at=NOW) == 1
    assert (ledger.expire(occurred_at=NOW), ledger.expire_holds(occurred_at=NOW)) == (0, 0)
    ledger.snapshot(NOW)

    assert Lot.objects.get().used_minor == 25
    assert audit.differences(at=NOW) == []
    assert checks.ledger_functions_are_installed(databases=["default"]) == []


def test_its_owner_installs_the_functions_of_a_later_version(as_app: None) -> None:
    run(f"SET ROLE {OWNER}")
    installed_sql.install()
    run(block("after each migrate"))
    run(f"SET ROLE {APP}")

    assert checks.ledger_functions_are_installed(databases=["default"]) == []


# Each behind "SET LOCAL ledger.writer = 'on'".
ATTEMPTS = [
    "INSERT INTO billing_lot SELECT * FROM billing_lot",
    "UPDATE billing_ledgeraccount SET balance_minor = 1",
    "DELETE FROM billing_hold",
    "TRUNCATE billing_transfer",
    "ALTER TABLE billing_transfer DISABLE TRIGGER ALL",
    "DROP TRIGGER ledger_functions_only ON billing_lot",
    "SET session_replication_role = replica",
    "SELECT ledger__insert_transfer(1, 2, 1, 'a', 'b', 'c', now())",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
]


def test_it_writes_nothing_past_them_whatever_it_sets(as_app: None) -> None:
    answers = {sql: refusal_of(f"SET LOCAL ledger.writer = 'on'; {sql}") for sql in ATTEMPTS}

    assert answers == dict.fromkeys(ATTEMPTS, NOT_ALLOWED)
