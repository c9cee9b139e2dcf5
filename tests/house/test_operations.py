"""Whether the portal is well, part by part, and who is told how much of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.test import Client, override_settings

from accounts.models import User
from billing import installed_sql
from billing.models import InboundEvent
from billing_project.operations import readings
from billing_project.operations.models import Reading
from billing_project.operations.tasks import beat
from tests import database
from tests.factories import NOW

TOKEN = "a-token-of-24-characters"
PROXIED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
DEAD_REDIS = "redis://127.0.0.1:9/0"


def ready(**query: str) -> tuple[int, dict[str, Any]]:
    answer = Client().get("/ready", query)
    return answer.status_code, json.loads(answer.content)


def make_event(*, rail: str = "card", age: timedelta, state: str = "new") -> InboundEvent:
    return InboundEvent.objects.create(
        rail=rail,
        external_id=f"evt_{rail}_{age}_{state}",
        kind="thing",
        payload={},
        occurred_at=NOW,
        received_at=Now() - age,
        next_attempt_at=NOW,
        state=state,
    )


@pytest.mark.parametrize("path", ["/health", "/healthz"])
def test_health_asks_nobody_but_the_process(path: str) -> None:
    answer = Client(headers=PROXIED).get(path)  # no database is allowed in this test

    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_a_portal_whose_parts_all_work_is_ready() -> None:
    beat()

    status, answer = ready(strict="1")

    assert status == 200
    assert answer["status"] == "ok"
    assert {name: part["ok"] for name, part in answer["parts"].items()} == dict.fromkeys(
        ("database", "migrations", "ledger_sql", "worker", "inbox", "redis"), True
    )


@pytest.mark.django_db
def test_an_old_event_and_a_silent_worker_are_said_and_take_nothing_out_of_service() -> None:
    make_event(age=timedelta(hours=1))
    make_event(age=timedelta(minutes=1))
    make_event(age=timedelta(hours=5), state="handled")
    Reading.objects.create(name=readings.HEARTBEAT, read_at=Now() - timedelta(minutes=30))

    status, answer = ready()

    assert (status, answer["status"]) == (200, "ok")
    assert answer["parts"]["inbox"] == {
        "ok": False,
        "vital": False,
        "waiting": 2,
        "oldest_seconds": 3600,
    }
    assert not answer["parts"]["worker"]["ok"]
    assert answer["parts"]["worker"]["last_heard_seconds"] == 1800
    assert ready(strict="1")[0] == 503


@pytest.mark.django_db
def test_a_worker_that_never_came_is_not_well() -> None:
    readings.expect(readings.HEARTBEAT)

    assert ready()[1]["parts"]["worker"] == {
        "ok": False,
        "vital": False,
        "last_heard_seconds": None,
    }


@pytest.mark.django_db
@override_settings(REDIS_URL=DEAD_REDIS)
def test_without_redis_the_portal_says_so_and_stays_ready() -> None:
    beat()

    assert ready()[0] == 200
    assert not ready()[1]["parts"]["redis"]["ok"]
    assert ready(strict="1")[0] == 503


@pytest.mark.django_db
def test_a_database_of_another_version_is_not_ready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'operations'")

    status, answer = ready()

    assert status == 503
    assert answer["parts"]["migrations"] == {"ok": False, "vital": True, "missing": 1}


@pytest.mark.django_db
def test_a_database_with_other_ledger_functions_is_not_ready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("COMMENT ON FUNCTION ledger_refuse_write() IS 'older'")

    status, answer = ready()

    assert status == 503
    assert not answer["parts"]["ledger_sql"]["ok"]
    assert installed_sql.installed_hash() == "older"


def test_without_its_database_the_portal_is_not_ready(own_database: str) -> None:
    with psycopg.connect(database.url("postgres"), autocommit=True) as admin:
        connection.close()
        admin.execute(f"ALTER DATABASE {own_database} ALLOW_CONNECTIONS false")
        try:
            here = ready()
            there = Client(headers=PROXIED).get("/ready")
        finally:
            admin.execute(f"ALTER DATABASE {own_database} ALLOW_CONNECTIONS true")

    assert here[0] == there.status_code == 503
    assert not here[1]["parts"]["database"]["ok"]
    assert there.json() == {"status": "not ok"}
    assert ready()[0] == 200


@pytest.mark.django_db
@override_settings(METRICS_TOKEN=TOKEN)
def test_details_are_for_this_machine_for_staff_and_for_the_token() -> None:
    staff = Client(headers=PROXIED)
    staff.force_login(User.objects.create_superuser("staff@example.com", "password"))
    person = Client(headers=PROXIED)
    person.force_login(User.objects.create_user("person@example.com"))
    program = Client(headers=PROXIED | {"Authorization": f"Bearer {TOKEN}"})

    assert person.get("/ready").json() == {"status": "ok"}
    assert Client(headers=PROXIED).get("/ready").json() == {"status": "ok"}
    for seen in (Client(), staff, program):
        assert "parts" in seen.get("/ready").json()


@pytest.mark.django_db
@override_settings(METRICS_TOKEN=TOKEN)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        (PROXIED, 404),
        ({"X-Real-IP": "127.0.0.1"}, 404),
        (PROXIED | {"Authorization": f"Bearer {TOKEN}"}, 200),
        (PROXIED | {"Authorization": f"bearer {TOKEN}"}, 200),
        (PROXIED | {"Authorization": f"Bearer {TOKEN}x"}, 404),
        (PROXIED | {"Authorization": f"Basic {TOKEN}"}, 404),
        (PROXIED | {"Authorization": "Bearer "}, 404),
        (PROXIED | {"Authorization": "Bearer ключ"}, 404),
    ],
)
def test_metrics_are_for_this_machine_or_the_token(headers: dict[str, str], status: int) -> None:
    assert Client(headers=headers).get("/metrics").status_code == status


@pytest.mark.django_db
@pytest.mark.parametrize("given", ["", "None"])
def test_without_a_token_set_none_is_right(given: str) -> None:
    assert settings.METRICS_TOKEN == ""

    answer = Client(headers=PROXIED | {"Authorization": f"Bearer {given}"}).get("/metrics")

    assert answer.status_code == 404


@pytest.mark.django_db
def test_another_machine_is_not_this_one() -> None:
    assert Client(REMOTE_ADDR="192.0.2.7").get("/metrics").status_code == 404
