"""PostgreSQL itself refuses every write to a ledger table that does not come from its functions."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Model

from billing import ledger, models
from billing.money import CREDIT
from tests.factories import NOW, make_wallet

pytestmark = pytest.mark.django_db

LEDGER_MODELS: list[type[Model]] = [
    models.LedgerAccount,
    models.Transfer,
    models.Lot,
    models.LotUse,
    models.Hold,
    models.HoldLot,
    models.SpendCapPeriod,
    models.AccountSnapshot,
]
NAMES = [model._meta.db_table for model in LEDGER_MODELS]


@pytest.fixture(autouse=True)
def _one_row_in_every_table() -> None:
    wallet = make_wallet(credits_minor=100)
    ledger.set_spend_cap(wallet, 100, anchor_at=NOW, zone="UTC", at=NOW)
    ledger.spend(wallet, 10, code="usage", key="s", occurred_at=NOW)
    ledger.reserve(wallet, 10, code="usage", key="h", deadline_at=None, occurred_at=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_snapshot(now() - interval '2 days')")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # TRUNCATE waits for no pending check
    assert all(model._default_manager.exists() for model in LEDGER_MODELS)


def refusal_of(sql: str) -> str:
    """The error code PostgreSQL answers."""
    with (
        pytest.raises(DatabaseError) as caught,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    return str(getattr(caught.value.__cause__, "sqlstate", None))


@pytest.mark.parametrize("table", NAMES)
def test_insert_by_sql_is_refused(table: str) -> None:
    assert refusal_of(f"INSERT INTO {table} SELECT * FROM {table}") == "LG008"


@pytest.mark.parametrize("table", NAMES)
def test_update_by_sql_is_refused(table: str) -> None:
    column = "account_id" if table not in ("billing_transfer", "billing_ledgeraccount") else "id"
    if table in ("billing_lotuse", "billing_holdlot"):
        column = "amount_minor"
    assert refusal_of(f"UPDATE {table} SET {column} = {column}") == "LG008"


@pytest.mark.parametrize("table", NAMES)
def test_delete_by_sql_is_refused(table: str) -> None:
    assert refusal_of(f"DELETE FROM {table}") == "LG008"


@pytest.mark.parametrize("table", NAMES)
def test_truncate_by_sql_is_refused(table: str) -> None:
    assert refusal_of(f"TRUNCATE {table} CASCADE") == "LG008"


@pytest.mark.parametrize("table", NAMES)
def test_even_a_writer_deletes_nothing(table: str) -> None:
    for sql in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        assert refusal_of(f"SET LOCAL ledger.writer = 'on'; {sql}") == "LG008"


def test_even_a_writer_changes_no_transfer() -> None:
    sql = "SET LOCAL ledger.writer = 'on'; UPDATE billing_transfer SET amount_minor = 1"
    assert refusal_of(sql) == "LG008"


def test_copy_and_merge_are_refused_too() -> None:
    assert refusal_of("COPY billing_holdlot FROM PROGRAM 'true'") == "LG008"
    merge = (
        "MERGE INTO billing_lotuse u USING billing_lotuse v ON u.id = v.id "
        "WHEN MATCHED THEN UPDATE SET returned_minor = 1"
    )
    assert refusal_of(merge) == "LG008"


@pytest.mark.parametrize("model", LEDGER_MODELS)
def test_the_orm_is_refused(model: type[Model]) -> None:
    row = model._default_manager.first()
    assert row is not None
    field = model._meta.pk.attname
    other = next(one for one in model._meta.concrete_fields if one.attname != field)

    for write in (
        lambda: row.save(update_fields=[other.name]),
        lambda: model._default_manager.update(**{other.attname: getattr(row, other.attname)}),
        lambda: model._default_manager.filter(pk=row.pk)._raw_delete("default"),
        lambda: row.save(force_insert=True),
        lambda: model._default_manager.bulk_create([row]),
    ):
        with pytest.raises(DatabaseError) as caught, transaction.atomic():
            write()
        assert getattr(caught.value.__cause__, "sqlstate", None) == "LG008"


def test_nothing_moved_and_the_functions_still_write() -> None:
    wallet = make_wallet(credits_minor=5)

    ledger.spend(wallet, 5, code="usage", key="after", occurred_at=NOW)

    wallet.refresh_from_db()
    assert (wallet.balance_minor, wallet.asset) == (0, CREDIT.code)


def test_the_setting_ends_with_the_function() -> None:
    make_wallet(credits_minor=5)

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('ledger.writer', true)")
        assert cursor.fetchone()[0] in (None, "")
