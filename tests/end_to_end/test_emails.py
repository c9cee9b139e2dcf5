"""E-mails over a real mail server: each arrives, also when server or worker die in between."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest
from kombu import Connection

from billing.models import Email, EmailState
from billing.services import invoices
from billing_project import env
from billing_project.celery import app
from common import clock
from tests import live
from tests.factories import make_payment
from tests.house.test_beat import until


class Smtp(socketserver.StreamRequestHandler):
    """As much of SMTP as a sender needs."""

    server: Post

    def handle(self) -> None:
        self.say("220 post")
        while line := self.rfile.readline().decode().strip():
            command = line.split(":")[0].split()[0].upper()
            if command == "DATA":
                self.say("354 go on")
                self.server.take(self.read())
                if self.server.hangs:
                    self.server.released.wait(60)
                    return
            self.say("221 bye" if command == "QUIT" else "250 ok")
            if command == "QUIT":
                return

    def read(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        return b"".join(lines)

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Post(socketserver.ThreadingTCPServer):
    """A mail server that keeps what it takes; ``hangs``: it takes a mail and never says so."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Smtp)
        self.messages: list[EmailMessage] = []
        self.hangs = False
        self.released = threading.Event()

    def take(self, raw: bytes) -> None:
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)


PORT = live.free_ports(1)[0]


@pytest.fixture(scope="module")
def portal() -> Iterator[live.Portal]:
    """A worker that sends by SMTP."""
    told = {"EMAIL_URL": f"smtp://127.0.0.1:{PORT}"}
    with live.Portal(processes=("worker",), env=told) as running:
        yield running


@pytest.fixture
def post() -> Iterator[Post]:
    """The mail server, up and empty."""
    with Post(PORT) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


def paid(portal: live.Portal) -> Email:
    """The receipt of a payment that was made just now."""
    with portal.orm():
        payment = make_payment()
        invoices.issue_due()
        return Email.objects.get(key=f"receipt:{payment.pk}")


def sweep(portal: live.Portal) -> None:
    app.send_task("billing.send_emails", connection=Connection(env.broker(portal.redis_url)))


def today(portal: live.Portal, told: Email) -> Email:
    with portal.orm():
        return Email.objects.get(pk=told.pk)


def make_due(portal: live.Portal, told: Email) -> None:
    """Its wait, or a dead worker's lease, is over."""
    with portal.orm():
        Email.objects.filter(pk=told.pk).update(next_try_at=clock.now())


def wait_for(portal: live.Portal, what: Callable[[], bool]) -> None:
    until(what, lambda: portal.log("worker")[-3000:])


def test_a_mail_arrives_as_text_and_html_with_its_invoice(portal: live.Portal, post: Post) -> None:
    receipt = paid(portal)

    sweep(portal)
    wait_for(portal, lambda: today(portal, receipt).state == EmailState.SENT)

    (message,) = post.messages
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    (file,) = message.iter_attachments()
    assert text is not None
    assert html is not None
    assert "$5.00" in text.get_content()
    assert "$5.00" in html.get_content()
    assert file.get_content_type() == "application/pdf"
    assert message["To"] == today(portal, receipt).sent_to


def test_a_mail_server_that_was_down_gets_it_later(portal: live.Portal) -> None:
    receipt = paid(portal)
    sweep(portal)
    wait_for(portal, lambda: bool(today(portal, receipt).last_error))
    assert "refused" in today(portal, receipt).last_error

    make_due(portal, receipt)
    with Post(PORT) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sweep(portal)
        wait_for(portal, lambda: today(portal, receipt).state == EmailState.SENT)
        server.shutdown()

    assert len(server.messages) == 1


def test_a_worker_that_dies_with_a_mail_in_hand_loses_none(portal: live.Portal, post: Post) -> None:
    post.hangs = True
    receipt = paid(portal)
    sweep(portal)
    wait_for(portal, lambda: bool(post.messages))

    portal.kill("worker")
    post.hangs = False
    post.released.set()
    assert today(portal, receipt).state == EmailState.WAITING
    make_due(portal, receipt)
    portal.start("worker")
    sweep(portal)
    wait_for(portal, lambda: today(portal, receipt).state == EmailState.SENT)

    # Twice, because nobody can know that the first arrived; a mail program sees that it is one.
    first, second = post.messages
    assert first["Message-ID"] == second["Message-ID"]
