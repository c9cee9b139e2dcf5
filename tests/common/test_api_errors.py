"""One error shape, whatever goes wrong."""

import json
import logging
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from rest_framework.test import APIClient

from tests.accounts.factories import PersonClient, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.common.probe")]

FAILING = "/api/probe/failing/"


def error_of(response: Any, status: int) -> dict[str, Any]:
    """The error of an answer that must be in the one shape."""
    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    body = json.loads(response.content)
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) <= {"code", "message", "fields", "details", "request_id"}
    assert error["request_id"] == response["X-Request-ID"]
    assert error["message"]
    return error


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("missing", 404, "not_found"),
        ("denied", 403, "forbidden"),
        ("conflict", 409, "conflict"),
        ("invalid", 400, "invalid_input"),
        ("model", 400, "invalid_input"),
        ("unavailable", 503, "unavailable"),
        ("bug", 500, "internal_error"),
    ],
)
def test_every_exception_has_the_shape(
    client: PersonClient, kind: str, status: int, code: str
) -> None:
    response = client.get(FAILING + kind)

    assert error_of(response, status)["code"] == code
    assert b"secret" not in response.content
    assert b"hunter2" not in response.content


def test_a_refusal_keeps_its_sentence_and_fields(client: PersonClient) -> None:
    assert error_of(client.get(FAILING + "conflict"), 409)["message"] == "Somebody was faster."
    assert error_of(client.get(FAILING + "invalid"), 400)["fields"] == {"amount": ["Too small."]}


def test_a_model_s_validation_is_split_into_sentence_and_fields(client: PersonClient) -> None:
    error = error_of(client.get(FAILING + "model"), 400)

    assert error["message"] == "All wrong."
    assert error["fields"] == {"name": ["Taken."]}


def test_a_bug_is_logged_with_its_traceback(
    client: PersonClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        client.get(FAILING + "bug")

    assert any(
        record.exc_info and "hunter2" in str(record.exc_info[1]) for record in caplog.records
    )


def test_invalid_fields_are_named_by_dotted_path(client: PersonClient) -> None:
    body = {"name": "too long", "items": [{"amount": 1}, {"amount": 0}, {}]}
    response = client.post(FAILING + "x", body, format="json")

    error = error_of(response, 400)
    assert error["code"] == "invalid_input"
    assert set(error["fields"]) == {"name", "items.1.amount", "items.2.amount"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"name": NaN, "items": []}',
        b"1" * 5_000,
        b'"' + b"a" * 1000,
        b'{"name": "\\ud800", "items": []}',
        b'{"name": "a\\u0000", "items": []}',
        b"null",
        b'["name"]',
        b'{"name": {"a": 1}, "items": {"0": {}}}',
    ],
)
def test_hostile_bodies_are_400_and_never_500(client: PersonClient, body: bytes) -> None:
    response = client.post(FAILING + "x", body, content_type="application/json")

    assert error_of(response, 400)["code"] in {"malformed_request", "invalid_input"}


@override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1_000)
def test_a_body_that_is_too_large_is_413(client: PersonClient) -> None:
    for path in (FAILING + "x", "/api/probe/work"):
        for headers in ({}, {"Idempotency-Key": "k"}):
            body = b'{"name": "' + b"a" * 2_000 + b'"}'
            response = client.post(path, body, content_type="application/json", headers=headers)

            assert error_of(response, 413)["code"] == "too_large"


def test_an_unknown_media_type_is_415(client: PersonClient) -> None:
    response = client.post(FAILING + "x", b"a=b", content_type="text/plain")

    assert error_of(response, 415)["code"] == "unsupported_media_type"


def test_an_unknown_method_is_405_and_names_the_known(client: PersonClient) -> None:
    response = client.put("/api/probe/work", {}, format="json")

    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert "POST" in response["Allow"]


def test_an_unacceptable_type_is_406(client: PersonClient) -> None:
    response = client.get("/api/probe/limited", headers={"Accept": "image/png"})

    assert error_of(response, 406)["code"] == "not_acceptable"


def test_an_unknown_address_under_api_is_json() -> None:
    assert error_of(Client().get("/api/nothing/here"), 404)["code"] == "not_found"


def test_a_crash_outside_drf_is_json_under_api_and_a_page_elsewhere() -> None:
    client = Client(raise_request_exception=False)

    error = error_of(client.get("/api/probe/crash"), 500)
    page = client.get("/probe/crash")

    assert error["code"] == "internal_error"
    assert page.status_code == 500
    assert page["X-Request-ID"] in page.content.decode()
    assert b"hunter2" not in page.content


def test_a_refusal_of_a_page_is_a_page_with_its_status() -> None:
    page = Client().get("/probe/refuse")

    assert page.status_code == 409
    assert "Somebody was faster." in page.content.decode()


def test_pages_for_unknown_addresses_and_bad_forms() -> None:
    strict = Client(enforce_csrf_checks=True)

    missing = strict.get("/nothing")
    stale = strict.post("/accounts/login/", {"login": "a@example.com", "password": "x"})

    assert (missing.status_code, stale.status_code) == (404, 403)
    assert "There is nothing here" in missing.content.decode()
    assert "too old" in stale.content.decode()


def test_the_signed_out_get_401_with_a_challenge() -> None:
    response = APIClient().get("/api/probe/limited")

    assert error_of(response, 401)["code"] == "not_authenticated"
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_session_without_csrf_token_may_read_but_not_write(client: PersonClient) -> None:
    strict = APIClient(enforce_csrf_checks=True)
    strict.cookies = client.cookies

    assert strict.get("/api/probe/limited").status_code == 200
    response = strict.post("/api/probe/work", {}, format="json")
    assert error_of(response, 403)["code"] == "csrf_failed"


def test_rate_limits_answer_429_with_the_time_to_wait(
    client: PersonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rest_framework.settings import api_settings

    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "probe", "2/hour")
    answers = [client.get("/api/probe/limited") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert error_of(answers[2], 429)["code"] == "throttled"
    assert 0 < int(answers[2]["Retry-After"]) <= 3_600


def test_rate_limits_are_counted_per_customer(
    client: PersonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rest_framework.settings import api_settings

    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "probe", "1/hour")
    client.get("/api/probe/limited")

    assert client.get("/api/probe/limited").status_code == 429
    assert signed_in().get("/api/probe/limited").status_code == 200


def test_without_a_cache_nobody_is_locked_out(
    client: PersonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from common import throttling

    class Broken:
        def add(self, *args: object, **kwargs: object) -> None:
            raise ConnectionError

    monkeypatch.setattr(throttling, "cache", Broken())

    assert client.get("/api/probe/limited").status_code == 200


def test_an_unexpected_error_leaves_no_transaction_open(client: PersonClient) -> None:
    client.get(FAILING + "bug")

    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
