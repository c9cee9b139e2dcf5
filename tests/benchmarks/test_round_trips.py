"""What makes a debit quick and could be lost unnoticed: one statement, planned once."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from billing import installed_sql, ledger
from billing.models import LedgerAccount, Transfer
from tests import database
from tests.factories import NOW, make_wallet

# As often as OPTIONS["prepare_threshold"] asks for, and once more.
ENOUGH = 6


def spend(wallet: LedgerAccount, key: str) -> Transfer:
    return ledger.spend(wallet, 1, code="usage", key=key, occurred_at=NOW)


@pytest.mark.django_db
def test_a_spend_is_one_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    wallet = make_wallet(credits_minor=10)

    with django_assert_num_queries(1):
        spend(wallet, "k")


@pytest.mark.django_db
def test_a_batch_is_one_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    wallets = [make_wallet(credits_minor=10) for _ in range(3)]
    debits = [
        ledger.Debit(wallet, 2, "usage", f"{wallet.pk}:{number}")
        for wallet in wallets
        for number in range(5)
    ]

    with django_assert_num_queries(1):
        results = ledger.spend_many(debits, occurred_at=NOW)

    assert [(one.status, one.covered_minor) for one in results] == [("posted", 2)] * 15


def test_statements_are_prepared(own_database: str) -> None:
    wallet = make_wallet(credits_minor=10)

    for number in range(ENOUGH):
        spend(wallet, f"k{number}")

    assert prepared("ledger_spend(") == 1


def test_a_prepared_statement_survives_a_new_column_and_new_functions(own_database: str) -> None:
    wallet = make_wallet(credits_minor=20)
    for number in range(ENOUGH):
        spend(wallet, f"before{number}")

    with psycopg.connect(database.url(own_database), autocommit=True) as release:
        release.execute("ALTER TABLE billing_transfer ADD COLUMN added integer")
        release.execute("DROP FUNCTION ledger_spend")
        release.execute((installed_sql.SQL_DIR / "50_spend.sql").read_bytes())

    assert spend(wallet, "after").amount_minor == 1
    assert prepared("ledger_spend(") == 1


def prepared(part: str) -> int:
    """How many statements of this connection with that text are prepared."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE strpos(statement, %s) > 0", [part]
        )
        return int(cursor.fetchone()[0])
