"""Ringing tasks by name."""

import base64
import json
import socket
import time
from collections.abc import Iterator
from typing import cast

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import transaction

from common import doorbell

QUEUE = "celery"


@pytest.fixture(autouse=True)
def bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bell without memory of earlier tests."""
    monkeypatch.setattr(doorbell, "_BELL", doorbell._Bell())


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    """The Redis behind the broker, its queue empty before and after."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(QUEUE)
    yield client
    client.delete(QUEUE)
    client.close()


def waiting(broker: redis.Redis) -> list[tuple[str, list[object]]]:
    """What a worker would receive: task names and arguments."""
    found = []
    while (raw := cast("bytes | None", broker.rpop(QUEUE))) is not None:
        message = json.loads(raw)
        arguments = json.loads(base64.b64decode(message["body"]))[0]
        found.append((message["headers"]["task"], arguments))
    return found


@pytest.mark.django_db(transaction=True)
def test_it_rings_after_commit_and_not_before(broker: redis.Redis) -> None:
    with transaction.atomic():
        doorbell.ring("tests.some_task", 7, "x")
        before = waiting(broker)

    assert before == []
    assert waiting(broker) == [("tests.some_task", [7, "x"])]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_transaction_rings_nothing(broker: redis.Redis) -> None:
    with transaction.atomic():
        doorbell.ring("tests.some_task", 7)
        transaction.set_rollback(True)

    assert waiting(broker) == []


@pytest.mark.django_db(transaction=True)
def test_outside_a_transaction_it_rings_at_once(broker: redis.Redis) -> None:
    doorbell.ring("tests.some_task", 7)
    doorbell.ring("tests.some_task", 8)

    assert [args for _, args in waiting(broker)] == [[7], [8]]


@pytest.mark.django_db(transaction=True)
def test_a_refusing_broker_costs_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", "redis://127.0.0.1:9/0")

    started = time.monotonic()
    for number in range(100):
        doorbell.ring("tests.some_task", number)

    assert time.monotonic() - started < 1


@pytest.mark.django_db(transaction=True)
def test_a_silent_broker_costs_one_short_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        monkeypatch.setattr(current_app.conf, "broker_url", f"redis://127.0.0.1:{port}/0")

        started = time.monotonic()
        for number in range(20):
            doorbell.ring("tests.some_task", number)

        assert time.monotonic() - started < 3


@pytest.mark.django_db(transaction=True)
def test_after_the_silence_it_rings_again(
    broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell, "SILENCE_SECONDS", 0.2)
    with monkeypatch.context() as down:
        down.setattr(current_app.conf, "broker_url", "redis://127.0.0.1:9/0")
        doorbell.ring("tests.some_task", 1)
    doorbell.ring("tests.some_task", 2)
    time.sleep(0.25)

    doorbell.ring("tests.some_task", 3)

    assert waiting(broker) == [("tests.some_task", [3])]
