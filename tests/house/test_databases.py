"""The test bench itself: clones are isolated and whole."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from accounts.models import User
from tests import database


@pytest.mark.django_db
def test_the_database_is_this_process_own() -> None:
    assert connection.settings_dict["NAME"].startswith("test_")
    assert ContentType.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", [1, 2])
def test_what_a_transactional_test_commits_is_gone_in_the_next(attempt: int) -> None:
    assert not User.objects.exists()
    kept = ContentType.objects.count()

    User.objects.create_user(f"{attempt}@example.com")
    ContentType.objects.filter(app_label="accounts").delete()

    assert kept > ContentType.objects.count()


@pytest.mark.django_db(transaction=True)
def test_rows_that_migrations_made_come_back() -> None:
    kept = set(ContentType.objects.values_list("app_label", "model"))
    ContentType.objects.all().delete()

    database.restore()

    assert set(ContentType.objects.values_list("app_label", "model")) == kept


def test_a_database_of_its_own_is_separate(own_database: str) -> None:
    User.objects.create_user("a@example.com")

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == (own_database,)
