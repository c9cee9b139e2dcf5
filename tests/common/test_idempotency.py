"""A POST that is repeated works once."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from rest_framework.test import APIClient

from accounts.services import api_keys
from common import clock, idempotency
from common.errors import Conflict, TooMany
from common.models import IdempotencyKey
from common.tasks import purge_idempotency_keys
from tests.accounts.factories import PersonClient, signed_in
from tests.common.probe import Probe

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.common.probe")]

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def work(client: APIClient, key: str | None = "k1", body: object = None, path: str = "work") -> Any:
    return client.post(
        f"/api/probe/{path}",
        json.dumps(body or {}),
        content_type="application/json",
        headers={} if key is None else {"Idempotency-Key": key},
    )


def code_of(response: Any) -> str:
    return str(response.json()["error"]["code"])


def test_a_repeat_gets_the_first_answer_again(client: PersonClient, probe: Probe) -> None:
    first = work(client, body={"a": 1})
    again = work(client, body={"a": 1})

    assert len(probe.calls) == 1
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert first.status_code == 201
    assert again["Content-Type"] == first["Content-Type"]
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first


def test_without_a_key_every_call_works(client: PersonClient, probe: Probe) -> None:
    work(client, None)
    work(client, None)

    assert probe.calls == [None, None]
    assert not IdempotencyKey.objects.exists()


def test_another_key_is_another_act(client: PersonClient, probe: Probe) -> None:
    work(client, "k1")
    work(client, "k2")

    assert len(set(probe.calls)) == 2


@pytest.mark.parametrize("change", ["body", "path", "query"])
def test_the_same_key_for_another_request_is_422(
    client: PersonClient, probe: Probe, change: str
) -> None:
    work(client, body={"a": 1})

    response = work(
        client,
        body={"a": 2} if change == "body" else {"a": 1},
        path={"path": "careful", "query": "work?x=1"}.get(change, "work"),
    )

    assert response.status_code == 422
    assert code_of(response) == "idempotency_key_reused"
    assert len(probe.calls) == 1


def test_keys_of_two_customers_do_not_meet(client: PersonClient, probe: Probe) -> None:
    other = signed_in()

    work(client, "same", body={"mine": 1})
    answer = work(other, "same", body={"yours": 2})

    assert answer.json()["echo"] == {"yours": 2}
    assert len(probe.calls) == 2


def test_a_key_is_the_customer_s_whoever_calls_for_it(client: PersonClient, probe: Probe) -> None:
    new_key = api_keys.create(
        client.customer, created_by=None, name="job", scope_names=["credits:purchase"]
    )
    program = APIClient(headers={"Authorization": f"Bearer {new_key.secret}"})

    work(client)
    again = work(program)

    assert again["Idempotent-Replayed"] == "true"
    assert len(probe.calls) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "ключ", "é", "a\tb"])
def test_a_malformed_key_is_400(client: PersonClient, probe: Probe, key: str) -> None:
    response = work(client, key)

    assert response.status_code == 400
    assert code_of(response) == "idempotency_key_invalid"
    assert probe.calls == []


def test_the_longest_key_works(client: PersonClient, probe: Probe) -> None:
    work(client, "~" * 255)
    assert work(client, "~" * 255)["Idempotent-Replayed"] == "true"


def test_a_view_may_insist_on_a_key(client: PersonClient, probe: Probe) -> None:
    response = work(client, None, path="careful")

    assert response.status_code == 400
    assert code_of(response) == "idempotency_key_missing"
    assert probe.calls == []


def test_a_view_with_a_secret_stores_nothing(client: PersonClient, probe: Probe) -> None:
    work(client, path="secretive")
    work(client, path="secretive")

    assert probe.calls == [None, None]
    assert not IdempotencyKey.objects.exists()


def test_the_refused_leave_no_key_behind(probe: Probe) -> None:
    response = work(APIClient())

    assert response.status_code == 401
    assert not IdempotencyKey.objects.exists()


def test_a_refusal_is_an_answer_too(client: PersonClient, probe: Probe) -> None:
    probe.outcome = Conflict("Somebody was faster.")
    first = work(client)
    probe.outcome = None

    again = work(client)

    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("outcome", [RuntimeError("bug"), 503, TooMany()])
def test_a_passing_failure_is_not_the_last_word(
    client: PersonClient, probe: Probe, outcome: object
) -> None:
    probe.outcome = outcome
    first = work(client)
    probe.outcome = None

    second = work(client)

    assert first.status_code in {429, 500, 503}
    assert second.status_code == 201
    assert probe.calls[0] == probe.calls[1] is not None


def test_even_after_a_failure_the_key_keeps_its_request(client: PersonClient, probe: Probe) -> None:
    probe.outcome = 500
    work(client, body={"a": 1})
    probe.outcome = None

    assert work(client, body={"a": 2}).status_code == 422


def test_the_claim_is_committed_before_the_work(client: PersonClient, probe: Probe) -> None:
    work(client)

    assert probe.in_transaction == [False]


def test_a_repeat_in_flight_is_409_and_then_replayed(client: PersonClient, probe: Probe) -> None:
    probe.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_in_thread, client)
        assert probe.entered.wait(10)

        meanwhile = work(client)
        probe.gate.set()
        answer = first.result(10)

    assert (meanwhile.status_code, code_of(meanwhile)) == (409, "idempotency_key_in_flight")
    assert int(meanwhile["Retry-After"]) >= 1
    assert answer.status_code == 201
    assert work(client).content == answer.content
    assert len(probe.calls) == 1


def test_of_many_at_once_one_works(client: PersonClient, probe: Probe) -> None:
    for round_number in range(5):
        key = f"round-{round_number}"
        barrier = threading.Barrier(8)
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(_in_thread, client, key, barrier) for _ in range(8)]
            answers = [future.result(20) for future in futures]

        assert len(probe.calls) == round_number + 1
        assert {answer.status_code for answer in answers} <= {201, 409}
        bodies = {answer.content for answer in answers if answer.status_code == 201}
        assert len(bodies) == 1


def test_a_crash_in_flight_frees_the_key_when_its_lease_ends(
    client: PersonClient, probe: Probe
) -> None:
    with clock.frozen(NOW) as hands:
        crashed = claim_for(client)
        too_early = work(client)
        hands.move(idempotency.LEASE)

        answer = work(client)

    assert too_early.status_code == 409
    assert answer.status_code == 201
    assert probe.calls == [crashed.cause]


def test_who_was_overtaken_cannot_answer_any_more(client: PersonClient, probe: Probe) -> None:
    with clock.frozen(NOW) as hands:
        slow = claim_for(client)
        hands.move(idempotency.LEASE)
        answer = work(client)
        slow.answer(HttpResponse("late", status=200))
        slow.release()

        again = work(client)

    assert again.content == answer.content


def test_of_many_that_take_over_one_works(client: PersonClient, probe: Probe) -> None:
    with clock.frozen(NOW) as hands:
        claim_for(client)
        hands.move(idempotency.LEASE)
        with ThreadPoolExecutor(4) as pool:
            # The lock lets all of them see the dead lease before the first can take it over.
            with transaction.atomic():
                IdempotencyKey.objects.select_for_update().get()
                futures = [pool.submit(_in_thread, client) for _ in range(4)]
                wait_for_waiters(4)
            answers = [future.result(20) for future in futures]

    assert len(probe.calls) == 1
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


def wait_for_waiters(count: int) -> None:
    """Until that many other sessions of this database wait for a lock."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits for the lock")


def test_a_key_is_forgotten_after_a_day(client: PersonClient, probe: Probe) -> None:
    with clock.frozen(NOW) as hands:
        work(client, body={"a": 1})
        hands.move(idempotency.RETENTION - timedelta(seconds=1))
        assert work(client, body={"a": 1})["Idempotent-Replayed"] == "true"
        hands.move(timedelta(seconds=1))

        fresh = work(client, body={"a": 2})

    assert fresh.status_code == 201
    assert len(set(probe.calls)) == 2


def test_the_purge_takes_what_is_expired_and_nothing_else(
    client: PersonClient, probe: Probe
) -> None:
    with clock.frozen(NOW) as hands:
        for number in range(5):
            work(client, f"old-{number}")
        hands.move(timedelta(hours=1))
        work(client, "new")
        hands.move(idempotency.RETENTION - timedelta(hours=1))

        assert idempotency.purge_expired(batch_size=2) == 5
        assert purge_idempotency_keys() == 0

    assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]


def claim_for(client: PersonClient) -> idempotency.Claim:
    """A claim as a process leaves it that dies at work."""
    claim = idempotency.claim(
        owner_id=client.customer.pk, key="k1", method="POST", path="/api/probe/work", body=b"{}"
    )
    assert isinstance(claim, idempotency.Claim)
    return claim


def _in_thread(
    client: PersonClient, key: str = "k1", barrier: threading.Barrier | None = None
) -> Any:
    own = APIClient()
    own.cookies = client.cookies
    if barrier is not None:
        barrier.wait(10)
    try:
        return work(own, key)
    finally:
        connection.close()
