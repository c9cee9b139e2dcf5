"""Alerts where several processes look: one tells, and what a worker found is known to all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.core import mail
from django.db import connection
from django.db.models.functions import Now
from django.test import override_settings
from kombu import Connection

from billing_project import env
from billing_project.celery import app
from billing_project.operations import alerts, liveness, readings, watchman
from billing_project.operations.models import Reading
from tests import database, live
from tests.factories import make_wallet
from tests.house.test_beat import until
from tests.house.test_operations import make_event
from tests.house.test_operations_alerts import LATE, subjects


@pytest.fixture
def emails() -> Iterator[None]:
    mail.outbox = []
    with override_settings(ALERT_EMAILS=["ops@example.com"]):
        yield


@pytest.mark.usefixtures("emails")
def test_two_who_look_at_once_tell_once(own_database: str) -> None:
    make_event(age=LATE)
    with psycopg.connect(database.url(own_database), autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [alerts.LOCK_KEY])
        alerts.look()
        assert subjects() == []

    until(_looked, lambda: "the lock was not let go")
    assert subjects() == ["stuck inbox"]


def _looked() -> bool:
    alerts.look()
    return bool(mail.outbox)


@pytest.mark.usefixtures("emails")
def test_beat_looks_beside_its_ticking(own_database: str) -> None:
    Reading.objects.create(name=readings.HEARTBEAT, read_at=Now() - timedelta(minutes=10))
    watch = watchman.Watchman()
    watch.tick()
    assert subjects() == []  # not within its first minute

    watch._next_look = 0
    watch.tick()
    assert watch._looking is not None
    watch._looking.join(30)

    assert subjects() == ["worker silent"]
    assert (liveness.age_seconds("beat") or 99) < 30


def test_a_worker_keeps_what_the_check_of_the_ledger_found_and_tells_of_it() -> None:
    with live.Portal(processes=("worker",), env={"ALERT_EMAILS": "ops@example.com"}) as portal:
        with portal.orm():
            make_wallet(credits_minor=100)
            with connection.cursor() as cursor:
                cursor.execute("SET session_replication_role = replica")
                cursor.execute(
                    "UPDATE billing_ledgeraccount SET balance_minor = balance_minor + 1"
                    " WHERE role = 'wallet'"
                )
        broker = Connection(env.broker(portal.redis_url))

        app.send_task("billing.check_ledger", connection=broker)
        with portal.orm():
            until(lambda: (_found() or 0) > 0, lambda: portal.log("worker")[-3000:])
        app.send_task("operations.watch", connection=broker)
        until(lambda: bool(portal.mails()), lambda: portal.log("worker")[-3000:])

        assert "ledger drift" in portal.mails()[0]
        assert "ops@example.com" in portal.mails()[0]


@pytest.mark.prove
def test_beat_tells_of_a_dead_redis_and_of_dead_workers() -> None:
    with live.Portal(processes=("beat",), env={"ALERT_EMAILS": "ops@example.com"}) as portal:
        with portal.orm():
            Reading.objects.create(name=readings.HEARTBEAT, read_at=Now() - timedelta(minutes=10))
        portal.stop_redis()

        until(
            lambda: len(portal.mails()) >= 2,
            lambda: portal.log("beat")[-4000:],
            seconds=150,
        )
        portal.start_redis()

        assert "redis down" in portal.mails()[0]
        assert "worker silent" in portal.mails()[1]


def _found() -> int | None:
    read = readings.last(readings.LEDGER)
    return read.value if read else None
