"""The sandbox as a process of its own, and a listener for its webhooks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import stripe

from tests.live import free_ports

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "sk_test_" + "sandboxtests" * 2
SECRET = "whsec_sandboxtests"
START_SECONDS = 20
CARD = {"method": "card", "card_number": "4242424242424242", "expiry": "12/34", "cvc": "123"}


class Sandbox:
    """``python -m sandbox`` on a free port, with its state in ``folder``."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.env = env
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.stop(signal.SIGTERM)

    def start(self) -> None:
        """Start it and wait until it answers."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("SANDBOX")
        }
        own = {"SANDBOX_PORT": str(self.port), "SANDBOX_DB": str(self.folder / "sandbox.db")}
        with (self.folder / "sandbox.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sandbox"],
                cwd=ROOT,
                env={**inherited, **own, **self.env},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.http.get("/_sandbox/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, how: signal.Signals) -> None:
        """End it: SIGTERM asks, SIGKILL does not."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process = None

    def log(self) -> str:
        """All that it said."""
        return (self.folder / "sandbox.log").read_text()

    def control(self, path: str, /, **body: Any) -> Any:
        """POST to the control API below ``/_sandbox/stripe/``; its answer must be a success."""
        answer = self.http.post(f"/_sandbox/stripe/{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def look(self, path: str, /, **query: str) -> Any:
        """GET from the control API."""
        answer = self.http.get(f"/_sandbox/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def deliveries(self, **query: str) -> list[dict[str, Any]]:
        """The outbox."""
        found: list[dict[str, Any]] = self.look("stripe/deliveries", **query)["data"]
        return found

    def until_quiet(self) -> None:
        """Wait until every webhook has ended."""
        assert self.look("stripe/quiet", timeout_seconds="20") == {"quiet": True}

    def books(self) -> dict[str, Any]:
        """The sandbox's own books, which must agree with themselves."""
        books: dict[str, Any] = self.look("books")["stripe"]
        assert books["agrees"]
        return books

    def event_types(self) -> list[str]:
        """The types of all events, in the order they happened."""
        events = self.api().v1.events.list(params={"limit": 100}).auto_paging_iter()
        return [str(event.type) for event in events][::-1]

    def api(self, key: str = API_KEY, *, retries: int = 0) -> stripe.StripeClient:
        """Stripe's own library, talking to this process."""
        return stripe.StripeClient(
            key,
            base_addresses={
                "api": self.url,
                "connect": self.url,
                "files": self.url,
                "meter_events": self.url,
            },
            max_network_retries=retries,
        )

    def session(self, amount: int = 500, **params: Any) -> stripe.checkout.Session:
        """A new session over one line of ``amount``."""
        line = {
            "quantity": 1,
            "price_data": {
                "currency": "usd",
                "unit_amount": amount,
                "product_data": {"name": "2,500 credits"},
            },
        }
        given: Any = {
            "mode": "payment",
            "line_items": [line],
            "success_url": "http://127.0.0.1:1/done?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:1/back",
            **params,
        }
        return self.api().v1.checkout.sessions.create(params=given)

    def paid(self, amount: int = 500, **params: Any) -> stripe.checkout.Session:
        """The same, paid by card."""
        session = self.session(amount, **params)
        assert self.control(f"sessions/{session.id}/pay")["outcome"] == "paid"
        return self.api().v1.checkout.sessions.retrieve(session.id)

    def submit(self, session: stripe.checkout.Session, **form: str) -> httpx.Response:
        """Press a button of the checkout page; paying by the good card unless told otherwise."""
        fields = {"action": "pay", "email": "buyer@example.com", **CARD, **form}
        return self.http.post(f"/c/pay/{session.id}", data=fields)


@dataclass
class Webhook:
    """One POST that the listener got."""

    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        """Its event."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


@dataclass
class Listener:
    """What a portal would be: takes webhooks, answers each from ``answers`` (else 200)."""

    url: str = ""
    got: list[Webhook] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def types(self) -> list[str]:
        """The event types, in order of arrival."""
        return [webhook.event["type"] for webhook in self.got]


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on a free port."""
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.got.append(Webhook(body, dict(self.headers)))
            self.send_response(listener.answers.pop(0) if listener.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()


def wait_for(condition: Callable[[], bool], timeout_seconds: float = 10) -> None:
    """Until it holds; fails the test if it does not."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
