"""Alerts: told once while they last and once when over, on each channel, and never elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.db.models.functions import Now
from django.test import override_settings

from billing.models import Email, InboundEvent, OrderStatus, ReconciliationItem, ReconciliationRun
from billing.services import refunds
from billing_project.operations import (
    alerts,
    channels,
    conditions,
    readings,
    watchman,
)
from billing_project.operations.models import Alert, Reading
from billing_project.operations.tasks import beat
from common import clock
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW, make_order, make_payment
from tests.house.processes import PRODUCTION, run
from tests.house.test_configuration import SETTINGS
from tests.house.test_operations import DEAD_REDIS, make_event

BOT = "123456789:" + "bot-token-of-a-test" * 2
LATE = timedelta(hours=3)


class Bot:
    """Stands in for Telegram's Bot API on this machine."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.works = True
        bot = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if bot.works:
                    bot.calls.append((self.path, json.loads(body)))
                self.send_response(200 if bot.works else 502)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def texts(self) -> list[str]:
        return [call["text"].split("\n")[0] for _, call in self.calls]


@pytest.fixture
def bot() -> Iterator[Bot]:
    far = Bot()
    thread = threading.Thread(target=far.server.serve_forever, daemon=True)
    thread.start()
    with override_settings(
        ALERT_TELEGRAM_URL=far.url,
        ALERT_TELEGRAM_BOT_TOKEN=BOT,
        ALERT_TELEGRAM_CHAT_ID="-100",
    ):
        yield far
    far.server.shutdown()
    far.server.server_close()
    thread.join()


@pytest.fixture
def emails() -> Iterator[None]:
    with override_settings(ALERT_EMAILS=["ops@example.com", "night@example.com"]):
        yield


@pytest.fixture(autouse=True)
def rail() -> Iterator[FakeRail]:
    fake = FakeRail()
    with only_rail(fake):
        yield fake


def subjects() -> list[str]:
    host = settings.PUBLIC_URL.partition("://")[2]
    return [message.subject.removeprefix(f"[{host}] ") for message in mail.outbox]


pytestmark = pytest.mark.django_db


@pytest.mark.usefixtures("emails")
def test_an_alert_is_told_once_while_it_lasts_and_once_when_it_is_over() -> None:
    event = make_event(age=LATE)

    for _ in range(3):
        alerts.look()
    assert subjects() == ["stuck inbox"]
    assert mail.outbox[0].to == ["ops@example.com", "night@example.com"]
    assert "card 1" in mail.outbox[0].body
    assert "180 minutes" in mail.outbox[0].body

    InboundEvent.objects.filter(pk=event.pk).update(state="handled")
    for _ in range(3):
        alerts.look()
    assert subjects() == ["stuck inbox", "over: stuck inbox"]

    InboundEvent.objects.filter(pk=event.pk).update(state="failed")
    alerts.look()
    assert subjects() == ["stuck inbox", "over: stuck inbox", "stuck inbox"]
    assert Alert.objects.count() == 2


@pytest.mark.usefixtures("emails")
def test_nothing_is_told_while_nothing_is_wrong() -> None:
    make_payment()
    make_event(age=timedelta(minutes=1))
    beat()
    readings.note(readings.LEDGER, 0)

    alerts.look()

    assert (subjects(), Alert.objects.count()) == ([], 0)


@pytest.mark.usefixtures("emails")
def test_each_channel_is_told_once_though_another_fails(bot: Bot) -> None:
    make_event(age=LATE)
    bot.works = False

    alerts.look()
    assert (subjects(), bot.texts()) == (["stuck inbox"], [])
    bot.works = True
    alerts.look()
    alerts.look()

    assert subjects() == ["stuck inbox"]
    assert [text.partition("] ")[2] for text in bot.texts()] == ["stuck inbox"]
    path, call = bot.calls[0]
    assert path == f"/bot{BOT}/sendMessage"
    assert call["chat_id"] == "-100"


def test_what_was_over_before_a_channel_could_be_told_is_told_as_over(bot: Bot) -> None:
    event = make_event(age=LATE)
    bot.works = False
    alerts.look()
    InboundEvent.objects.filter(pk=event.pk).update(state="handled")
    alerts.look()

    bot.works = True
    alerts.look()
    alerts.look()

    assert [text.partition("] ")[2] for text in bot.texts()] == ["over: stuck inbox"]


def test_old_news_is_not_told(bot: Bot) -> None:
    Alert.objects.create(name="old", detail="", ended_at=Now() - timedelta(days=2))

    alerts.look()

    assert bot.calls == []


def test_a_failing_channel_does_not_show_the_bots_token(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    make_event(age=LATE)
    bot.works = False
    alerts.look()
    bot.server.server_close()
    with override_settings(ALERT_TELEGRAM_URL="http://127.0.0.1:9"):
        alerts.look()

    assert "Telegram answers 502" in str([vars(record) for record in caplog.records])
    assert "ConnectError" in str([vars(record) for record in caplog.records])
    assert BOT not in str([vars(record) for record in caplog.records])


def test_in_the_sandbox_nothing_leaves_this_machine(bot: Bot) -> None:
    assert settings.SANDBOX

    real = override_settings(ALERT_TELEGRAM_URL="https://api.telegram.org")
    with real, pytest.raises(channels.Unreachable, match="this machine only"):
        channels.Telegram().send("subject", "text")

    done = run("-c", SETTINGS, SANDBOX="1", ALERT_TELEGRAM_URL="https://api.telegram.org")
    assert done.stderr.startswith("Bad configuration: ALERT_TELEGRAM_URL: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALERT_EMAILS", "nobody"),
        ("ALERT_REFUND_PERCENT", "0"),
        ("ALERT_INBOX_MINUTES", "soon"),
        ("METRICS_TOKEN", "short"),
        ("SENTRY_DSN", "https://sentry.example.com/1"),
        ("ALERT_TELEGRAM_URL", "api.telegram.org"),
    ],
)
def test_a_bad_setting_is_refused_by_name(name: str, value: str) -> None:
    done = run("-c", SETTINGS, **PRODUCTION | {name: value})

    assert done.stderr.startswith(f"Bad configuration: {name}: ")


# -- what counts as wrong -------------------------------------------------------------------------


@override_settings(ALERT_REFUND_COUNT=2, ALERT_REFUND_PERCENT=50)
def test_the_refund_rate_counts_from_enough_refunds_on() -> None:
    payments = [make_payment() for _ in range(3)]
    refunds.request(payments[0].pk, reason="asked")
    assert conditions.present() == {}

    refunds.request(payments[1].pk, reason="asked")

    assert conditions.present() == {
        "refund rate": "2 refunds for 3 payments in 24 hours, more than 50 %."
    }
    with override_settings(ALERT_REFUND_PERCENT=67):
        assert conditions.present() == {}
    with override_settings(ALERT_REFUND_COUNT=3):
        assert conditions.present() == {}


def test_a_paid_order_that_is_not_delivered_is_wrong() -> None:
    make_order(status=OrderStatus.PAID, paid_at=clock.now() - LATE)
    make_order(status=OrderStatus.PAID, paid_at=clock.now(), delivered_at=clock.now())

    assert conditions.present() == {
        "failed deliveries": "Paid orders are not delivered (card 1); "
        "the oldest waits for 180 minutes."
    }


def test_a_refund_that_its_provider_never_heard_of_is_wrong() -> None:
    refund = refunds.request(make_payment().pk, reason="asked")
    assert "calls not sent" not in conditions.present()

    type(refund).objects.filter(pk=refund.pk).update(created_at=Now() - LATE)

    assert "card 1" in conditions.present()["calls not sent"]


def test_emails_that_wait_for_hours_or_were_given_up_are_wrong() -> None:
    payment = make_payment()
    email = Email.objects.filter(key=f"receipt:{payment.pk}")
    assert conditions.present() == {}

    email.update(created_at=Now() - LATE)
    assert conditions.present() == {
        "e-mails not sent": "1 e-mails are not sent; the oldest waits for 180 minutes."
    }
    email.update(state="failed", next_try_at=None)
    assert conditions.present() == {
        "e-mails given up": "1 e-mails could not be sent and were given up."
    }
    email.update(state="sent", sent_at=clock.now())
    assert conditions.present() == {}


def test_drift_is_wrong_until_it_is_put_right() -> None:
    readings.note(readings.LEDGER, 2)
    run = ReconciliationRun.objects.create(
        rail="card",
        since=NOW - timedelta(days=1),
        until=NOW,
        outcome="differences",
        finished_at=NOW,
    )
    item = ReconciliationItem.objects.create(
        run=run, kind="payment_missing", subject="pi", detail="", is_safe=True, state="left"
    )

    assert set(conditions.present()) == {"ledger drift", "provider drift"}
    assert "2 differences" in conditions.present()["ledger drift"]

    readings.note(readings.LEDGER, 0)
    ReconciliationItem.objects.filter(pk=item.pk).update(state="gone")
    assert conditions.present() == {}


def test_a_ledger_that_nobody_checks_any_more_is_wrong() -> None:
    Reading.objects.create(name=readings.LEDGER, read_at=Now() - timedelta(hours=37))

    assert "37 hours ago" in conditions.present()["ledger unchecked"]


@pytest.mark.parametrize("outcome", ["failed", "unreachable"])
def test_a_reconciliation_that_did_not_end_well_is_wrong_until_one_does(outcome: str) -> None:
    for hours, ended in ((3, "clean"), (2, outcome)):
        _make_run(ended, hours_ago=hours)
    assert "card" in conditions.present()["reconciliation broken off"]

    _make_run("clean", hours_ago=1)

    assert conditions.present() == {}


def _make_run(outcome: str, *, hours_ago: int) -> None:
    at = NOW - timedelta(hours=hours_ago)
    ReconciliationRun.objects.create(
        rail="card", since=at - timedelta(days=1), until=at, outcome=outcome, finished_at=at
    )


@override_settings(REDIS_URL=DEAD_REDIS)
def test_redis_down_is_wrong() -> None:
    assert set(conditions.present()) == {"redis down"}


@pytest.mark.usefixtures("emails")
def test_beat_tells_of_silent_workers_and_only_then_looks_itself() -> None:
    beat()
    make_event(age=LATE)
    watchman.look()
    assert subjects() == []

    Reading.objects.update(read_at=Now() - timedelta(minutes=10))
    watchman.look()

    assert subjects() == ["stuck inbox", "worker silent"]


@pytest.mark.usefixtures("emails")
def test_workers_that_never_come_are_missed_too() -> None:
    Reading.objects.filter(name=readings.HEARTBEAT).delete()
    watchman.look()
    assert subjects() == []

    Reading.objects.update(read_at=Now() - timedelta(minutes=10))
    watchman.look()

    assert subjects() == ["worker silent"]
