"""SIGTERM: what is under way is finished, what is held is let go, nothing new is begun."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import redis
from kombu import Connection

from billing_project import env
from billing_project.beat import LOCK_KEY
from billing_project.celery import app
from billing_project.operations import readings
from tests import live
from tests.end_to_end import post
from tests.house.test_beat import until

STOP_SECONDS = 20


def terminate(portal: live.Portal, name: str) -> subprocess.Popen[bytes]:
    """As a container's runtime does it: the first process only."""
    process = portal._running[name]
    process.send_signal(signal.SIGTERM)
    return process


def waits_for_a_lock(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return row is not None and row[0] > 0


def test_web_finishes_the_request_in_flight() -> None:
    event = post.an_event()
    with (
        live.Portal(processes=("web",)) as portal,
        portal.connect() as watching,
        portal.connect() as blocking,
        ThreadPoolExecutor(1) as pool,
    ):
        with blocking.transaction(force_rollback=True):
            # The same event, not yet committed: the request waits to see what becomes of it.
            blocking.execute(
                "INSERT INTO billing_inboundevent (rail, external_id, kind, object_id, payload,"
                " occurred_at, state, attempts, next_attempt_at, last_error, mirror_error)"
                " VALUES ('card', %s, '', '', '{}', now(), 'new', 0, now(), '', '')",
                [event["id"]],
            )
            answer = pool.submit(post.send_signed, portal, event)
            until(lambda: waits_for_a_lock(watching), lambda: portal.log("web")[-2000:])
            process = terminate(portal, "web")
            time.sleep(1)
            assert process.poll() is None
            assert not answer.done()

        assert answer.result(STOP_SECONDS)[0] == 200
        assert process.wait(STOP_SECONDS) == 0
        stored = watching.execute("SELECT external_id FROM billing_inboundevent").fetchall()
        assert stored == [(event["id"],)]


def test_a_worker_finishes_its_task_and_takes_no_other() -> None:
    with (
        live.Portal(processes=("worker",)) as portal,
        portal.connect() as watching,
        portal.connect() as blocking,
    ):
        broker = Connection(env.broker(portal.redis_url))
        reading = "SELECT value, read_at > '2020-01-01' FROM operations_reading WHERE name = %s"
        blocking.execute(
            "INSERT INTO operations_reading (name, value, read_at) VALUES (%s, 7, '2000-01-01')",
            [readings.HEARTBEAT],
        )
        with blocking.transaction():
            blocking.execute("SELECT FROM operations_reading FOR UPDATE")
            app.send_task("operations.beat", connection=broker)
            until(lambda: waits_for_a_lock(watching), lambda: portal.log("worker")[-2000:])
            process = terminate(portal, "worker")
            time.sleep(2)
            assert process.poll() is None
            app.send_task("operations.beat", connection=broker)

        assert process.wait(STOP_SECONDS) == 0
        assert watching.execute(reading, [readings.HEARTBEAT]).fetchall() == [(0, True)]
        assert redis.Redis.from_url(portal.redis_url).llen("celery") == 1


def test_a_beat_that_is_stopped_lets_the_next_one_ring_at_once() -> None:
    with live.Portal(processes=("beat",)) as portal, portal.connect() as watching:
        held = (
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE locktype = 'advisory' AND objid = %s AND datname = current_database()"
        )
        until(
            lambda: watching.execute(held, [LOCK_KEY]).fetchone() == (1,),
            lambda: portal.log("beat")[-2000:],
        )

        process = terminate(portal, "beat")

        assert process.wait(STOP_SECONDS) == 0
        until(
            lambda: watching.execute(held, [LOCK_KEY]).fetchone() == (0,),
            lambda: "the lock is still held",
        )
        portal.start("beat")
        until(
            lambda: portal.log("beat").count("this beat rings") == 2,
            lambda: portal.log("beat")[-2000:],
        )
