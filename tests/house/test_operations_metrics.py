"""The metrics: the right figures under few names, added up over processes."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.test import Client, override_settings
from prometheus_client.parser import text_string_to_metric_families

from billing.models import ReconciliationItem, ReconciliationRun
from billing.services import refunds
from billing_project.operations import metrics, readings, task_counts
from common import clock
from tests import live
from tests.billing.fakes import FakeRail, only_rail
from tests.factories import NOW, make_customer, make_payment
from tests.house.test_beat import until
from tests.house.test_operations import DEAD_REDIS, make_event
from tests.house.test_sandbox_clock import write

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(text: str) -> Values:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped() -> Values:
    return parse(metrics.render().decode())


def value(values: Values, name: str, **labels: str) -> float | None:
    return values.get((name, frozenset(labels.items())))


@pytest.fixture
def rail() -> Iterator[FakeRail]:
    fake = FakeRail()
    with only_rail(fake):
        yield fake


@pytest.mark.django_db
def test_requests_are_counted_by_the_view_that_answered() -> None:
    client = Client()
    client.get("/health")
    before = scraped()

    client.get("/health")
    client.get("/health/of/nothing?with=words")
    after = scraped()

    def more(name: str, **labels: str) -> float:
        return (value(after, name, **labels) or 0) - (value(before, name, **labels) or 0)

    assert more("portal_http_requests_total", view="health", method="GET", status="200") == 1
    assert more("portal_http_requests_total", view="none", method="GET", status="404") == 1
    assert more("portal_http_request_seconds_count", view="health", method="GET") == 1


@pytest.mark.django_db
def test_strange_addresses_and_methods_make_no_new_names() -> None:
    client = Client()
    for number in range(3):
        client.generic(f"ODD{number}", f"/odd/{number}")

    names = {dict(labels).get("view") for _, labels in scraped()}
    methods = {dict(labels).get("method") for _, labels in scraped()}

    assert not any("odd" in str(name) for name in names)
    assert not any("ODD" in str(method) for method in methods)


@pytest.mark.django_db
def test_what_waits_is_told_with_its_age_by_rail(rail: FakeRail) -> None:
    make_event(age=timedelta(minutes=10))
    make_event(age=timedelta(minutes=2), state="failed")
    payment = make_payment()
    refunds.request(payment.pk, reason="asked")

    found = scraped()

    assert value(found, "portal_inbox", rail="card") == 2
    assert value(found, "portal_inbox_oldest_seconds", rail="card") == pytest.approx(600, abs=30)
    assert value(found, "portal_inbox_failing", rail="card") == 1
    assert value(found, "portal_refunds_to_send", rail="card") == 1
    assert value(found, "portal_undelivered_orders", rail="card") == 0
    assert value(found, "portal_emails") == 1
    assert value(found, "portal_emails_oldest_seconds") == pytest.approx(0, abs=30)
    assert value(found, "portal_emails_given_up") == 0
    assert value(found, "portal_payments_last_day", rail="card") == 1
    assert value(found, "portal_refunds_last_day", rail="card") == 1
    assert value(found, "portal_disputes_last_day", rail="card") == 0
    assert value(found, "portal_holds_expired_last_day") == 0
    assert value(found, "portal_database_up") == 1


@pytest.mark.django_db
def test_the_last_check_of_the_ledger_and_what_reconciliation_left_are_told() -> None:
    readings.note(readings.LEDGER, 3)
    run = ReconciliationRun.objects.create(
        rail="card", since=NOW - timedelta(days=1), until=NOW, outcome="differences",
        finished_at=clock.now(),
    )  # fmt: skip
    for subject, state in (("pi_1", "left"), ("pi_2", "found"), ("pi_3", "gone")):
        ReconciliationItem.objects.create(
            run=run, kind="payment_missing", subject=subject, detail="", is_safe=True, state=state
        )

    found = scraped()

    assert value(found, "portal_ledger_differences") == 3
    assert value(found, "portal_reconciliation_differences_left", rail="card") == 2


@pytest.mark.django_db
def test_nothing_of_a_customer_is_in_the_metrics(rail: FakeRail) -> None:
    customer = make_customer(email="someone@example.com", name="Someone")
    Client().get(f"/billing/orders/{customer.pk}/success")
    text = metrics.render().decode()

    assert "someone" not in text.lower()
    assert str(customer.pk) not in text


@pytest.mark.django_db
@override_settings(REDIS_URL=DEAD_REDIS)
def test_without_redis_the_rest_is_still_told() -> None:
    task_counts.count("billing.sweep", "succeeded")

    found = scraped()

    assert value(found, "portal_redis_up") == 0
    assert value(found, "portal_queue_depth") is None
    assert value(found, "portal_database_up") == 1


@pytest.mark.django_db
def test_tasks_are_counted_whichever_worker_ran_them() -> None:
    before = task_counts.totals().get(("billing.test", "failed"), 0)

    task_counts.count("billing.test", "failed")

    found = scraped()
    assert value(found, "portal_tasks_total", task="billing.test", outcome="failed") == before + 1


def test_processes_count_together_and_workers_are_heard() -> None:
    with live.Portal(processes=("web", "worker", "beat"), env={"WEB_WORKERS": "3"}) as portal:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: _get(f"{portal.url}/health"), range(120)))

        found = parse(_get(f"{portal.url}/metrics"))
        assert value(
            found, "portal_http_requests_total", view="health", method="GET", status="200"
        ) == pytest.approx(120)

        def heard() -> bool:
            now = parse(_get(f"{portal.url}/metrics"))
            done = value(now, "portal_tasks_total", task="operations.beat", outcome="succeeded")
            return bool(done) and value(now, "portal_worker_heard_seconds") is not None

        write(portal.clock_file, "3600")
        until(heard, lambda: (portal.log("worker")[-3000:], portal.log("beat")[-3000:]))


def _get(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        text: str = answer.read().decode()
    return text
