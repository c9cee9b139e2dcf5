"""What logs and error reports hide, what they keep, and how a request's id travels."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path as url_path
from hypothesis import given
from hypothesis import strategies as st

from billing_project import error_reports, redaction
from billing_project import urls as portal_urls
from tests import live
from tests.end_to_end import post
from tests.house.processes import PRODUCTION, run
from tests.house.test_beat import until

CARDS = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "4000-0025-0000-3155",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "3056930009020004",
]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("key sk_live_" + "a1" * 12, "key sk_live_***"),
        ("rk_test_hunter2, then", "rk_test_***, then"),
        ("signed with whsec_hunter2", "signed with whsec_***"),
        ("our key bp_live_hunter2", "our key bp_live_***"),
        ("pi_123_secret_hunter2", "pi_123_secret_***"),
        ("Authorization: Basic aHVudGVyMjpodW50ZXIy", "Authorization: ***"),
        ("'Authorization': 'Bearer hunter2'", "'Authorization': ***"),
        ("sent Bearer hunter2 there", "sent Bearer *** there"),
        ("Cookie: portal_session=hunter2; csrftoken=hunter2", "Cookie: ***"),
        ("set portal_session=hunter2; path", "set portal_session=***; path"),
        ("__Host-portal_session=hunter2", "__Host-portal_session=***"),
        ("postgresql://portal:hunter2@db/portal", "postgresql://portal:***@db/portal"),
        ("password=hunter2&next=/", "password=***&next=/"),
        ('{"password": "hunter2"}', '{"password": "***"}'),
        ("cvc: 737 was wrong", "cvc: *** was wrong"),
        ("bot 123456789:" + "hunter2" * 5, "bot 123456789:***"),
        ("GET /accounts/confirm-email/hunter2/", "GET /accounts/confirm-email/***"),
        ("/accounts/password/reset/key/1-hunter2/", "/accounts/password/reset/key/***"),
    ],
)
def test_a_secret_is_hidden_and_its_kind_kept(written: str, kept: str) -> None:
    assert redaction.text(written) == kept


@pytest.mark.parametrize("card", CARDS)
def test_card_numbers_are_hidden_however_they_are_written(card: str) -> None:
    assert redaction.text(f"card {card}.") == "card ***."
    assert redaction.text(f'{{"number": "{card}"}}') == '{"number": "***"}'


@pytest.mark.parametrize(
    "innocent",
    [
        "4242424242424241",  # fails Luhn's check
        "1763686000000",  # milliseconds
        "order 01a1fb49-2f61-7f44-8449-f7af58e84683",
        "42424242-4242-4242-4242-424242424242",
        "pi_4242424242424242",
        "took 0.4242424242424242 s",
        "2026-11-20 12:00:00.000000",
        "basic subscription begun",
        "10,000 tokens: all used",
        "the token is stale",
    ],
)
def test_what_is_no_secret_stays_readable(innocent: str) -> None:
    assert redaction.text(innocent) == innocent


def _luhn(digits: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (2 if place % 2 == 0 else 1)
        total += number - 9 if number > 9 else number
    return digits + str(-total % 10)


@given(st.from_regex(r"\A[3-6][0-9]{14}\Z"), st.sampled_from(["", " ", "-"]))
def test_every_number_a_card_could_have_is_hidden(digits: str, between: str) -> None:
    card = _luhn(digits)
    written = between.join(card[place : place + 4] for place in range(0, 16, 4))

    assert redaction.text(f"paid with {written} today") == "paid with *** today"
    assert redaction.value(int(card)) == redaction.HIDDEN


def test_values_are_hidden_by_name_at_any_depth() -> None:
    found = redaction.value(
        {
            "headers": [{"authorization": "hunter2", "Cookie": "hunter2"}],
            "stripe_signature": "t=1,v1=hunter2",
            "session_key": "hunter2",
            "body": "Dear customer, hunter2",
            "new_password": "hunter2",
            "raw": b"sk_test_hunter2",
            "a": {"b": {"c": {"d": {"e": {"f": {"g": "hunter2"}}}}}},
            "tokens": 10_000,
            "session": None,
        }
    )

    assert "hunter2" not in json.dumps(found)
    assert found["tokens"] == 10_000
    assert found["session"] is None


@pytest.mark.django_db
def test_links_that_were_mailed_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Client().get("/accounts/confirm-email/hunter2/?token=hunter2")

    lines = [record for record in caplog.records if record.name == "portal.request"]
    assert len(lines) == 1
    shown = redaction.value(lines[0].msg)
    assert "hunter2" not in json.dumps(shown)
    assert shown["path"] == "/accounts/confirm-email/***"


def _bug(_request: HttpRequest) -> HttpResponse:
    raise RuntimeError("a bug")


def _refuse(_request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "status"), [("bug", 500), ("refuse", 403), ("nowhere", 404)])
def test_the_page_for_an_error_names_the_request(path: str, status: int) -> None:
    urls = ModuleType("failing")
    urls.__dict__.update(vars(portal_urls))
    urls.__dict__["urlpatterns"] = [
        *portal_urls.urlpatterns,
        url_path("bug", _bug),
        url_path("refuse", _refuse),
    ]
    client = Client(raise_request_exception=False, headers={"X-Request-ID": "request-77"})
    with override_settings(ROOT_URLCONF=urls):
        answer = client.get(f"/{path}")

    assert answer.status_code == status
    assert "request-77" in answer.content.decode()
    assert answer["X-Request-ID"] == "request-77"


def test_a_request_and_the_task_it_rang_for_share_an_id() -> None:
    with live.Portal(processes=("web", "worker")) as portal:
        assert post.send_signed(portal, post.an_event("balance.available"))[0] == 200

        def lines(name: str) -> list[dict[str, Any]]:
            return [json.loads(line) for line in portal.log(name).splitlines() if line[:1] == "{"]

        def ids(name: str, key: str, text: str) -> set[str]:
            found = (line for line in lines(name) if text in str(line.get(key)))
            return {line["request_id"] for line in found if "request_id" in line}

        def is_shared() -> bool:
            asked = ids("web", "path", "/api/webhooks/stripe")
            return bool(asked & ids("worker", "task", "billing.handle_inbound_event"))

        until(is_shared, lambda: (portal.log("web")[-2000:], portal.log("worker")[-3000:]))


def test_error_reports_carry_no_secrets_and_nobodys_data() -> None:
    event = {
        "event_id": "e",
        "user": {"email": "person@example.com"},
        "message": "refused sk_live_hunter2",
        "request": {
            "url": "https://billing.example.com/settings/",
            "cookies": {"portal_session": "hunter2"},
            "headers": {"Authorization": "Bearer hunter2", "X-Request-Id": "kept"},
            "data": "password=hunter2",
            "query_string": "token=hunter2",
        },
        "exception": {
            "values": [{"value": "4242424242424242", "stacktrace": {"frames": [{"lineno": 7}]}}]
        },
        "extra": {"whsec": "whsec_hunter2"},
    }

    cleaned = error_reports.clean(event)

    shown = json.dumps(cleaned)
    assert "hunter2" not in shown
    assert "person@example.com" not in shown
    assert "424242" not in shown
    assert cleaned["exception"]["values"][0]["stacktrace"]["frames"][0]["lineno"] == 7
    assert cleaned["request"]["headers"]["X-Request-Id"] == "kept"


REPORT = """
from billing_project import startup
startup.check()
import logging, structlog, sentry_sdk
structlog.contextvars.bind_contextvars(request_id="request-42")
password = "hunter2"
logging.getLogger("billing").warning("a crumb with sk_live_hunter2")
try:
    raise RuntimeError("refused whsec_hunter2 for 4242 4242 4242 4242")
except RuntimeError:
    logging.getLogger("billing").exception("failed with sk_live_hunter2")
sentry_sdk.flush(10)
"""


def test_an_error_reaches_sentry_without_its_secrets() -> None:
    with _far_side() as (address, received):
        done = run("-c", REPORT, **PRODUCTION | {"SENTRY_DSN": f"http://key@{address}/1"})

    assert done.returncode == 0, done.stderr
    events = [body for body in received if "refused whsec_***" in body]
    assert len(events) == 1
    assert "hunter2" not in "".join(received)
    assert "4242" not in events[0]
    assert "request-42" in events[0]
    assert "a crumb with sk_live_***" in events[0]


def test_without_sentry_its_library_is_not_loaded() -> None:
    show = """
import sys
from billing_project import startup
startup.check()
print(*sys.modules)
"""
    loaded = run("-c", show, **PRODUCTION).stdout.split()

    assert "billing_project.settings" in loaded
    assert "sentry_sdk" not in loaded


def test_the_sandbox_reports_to_this_machine_only() -> None:
    done = run("-c", REPORT, SANDBOX="1", SENTRY_DSN="https://key@sentry.example.com/1")

    assert done.stderr.startswith("Bad configuration: SENTRY_DSN: ")


@contextmanager
def _far_side() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that keeps what it is sent: its address, and the bodies."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.append(body.decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
