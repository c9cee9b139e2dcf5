"""The metrics that are asked for when somebody scrapes: of the database and of Redis."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, connection, models, transaction
from django.db.models import Count
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from billing.models import Dispute, Hold, HoldState, Payment, Refund
from billing_project.operations import backlog, readings, redis_health, task_counts
from billing_project.operations.backlog import Waiting

TIMEOUT_MS = 5000
DAY = timedelta(days=1)

Samples = Sequence[tuple[Sequence[str], float]]


def collect() -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    """Every metric; those of the database only while it answers."""
    yield from _of_redis()
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_MS}")
            stored = list(_of_database())
    except DatabaseError:
        connection.close()
        yield _gauge("database_up", "Whether PostgreSQL answers.", [([], 0)])
        return
    yield _gauge("database_up", "Whether PostgreSQL answers.", [([], 1)])
    yield from stored


def _of_redis() -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
    depth = redis_health.queue_depth()
    yield _gauge("redis_up", "Whether Redis answers.", [([], depth is not None)])
    if depth is None:
        return
    yield _gauge("queue_depth", "Rings that no worker has heard yet.", [([], depth)])
    ended = CounterMetricFamily("portal_tasks", "Tasks that ended.", labels=["task", "outcome"])
    for (task, outcome), count in sorted(task_counts.totals().items()):
        ended.add_metric([task, outcome], count)
    yield ended


def _of_database() -> Iterator[GaugeMetricFamily]:
    queues: dict[str, Callable[[], list[Waiting]]] = {
        "inbox": backlog.events,
        "inbox_failing": lambda: backlog.events(failing=True),
        "undelivered_orders": backlog.deliveries,
        "refunds_to_send": backlog.refunds,
        "subscriptions_to_stop": backlog.stops,
    }
    for name, waiting in queues.items():
        yield from _queue(name, waiting())
    yield from _emails()
    yield _gauge("overdue_holds", "Holds past their deadline.", [([], backlog.overdue_holds())])
    yield _of_rails(
        "reconciliation_differences_left",
        "Differences with providers that wait for somebody.",
        dict.fromkeys(_rails(), 0) | backlog.differences_left(),
    )
    yield from _readings()
    yield from _last_day()


def _emails() -> Iterator[GaugeMetricFamily]:
    waiting = backlog.emails()
    count, age = (waiting.count, waiting.oldest.total_seconds()) if waiting else (0, 0.0)
    yield _gauge("emails", "How many e-mails wait to be sent.", [([], count)])
    yield _gauge("emails_oldest_seconds", "How long the first e-mail has waited.", [([], age)])
    given_up = backlog.emails_given_up()
    yield _gauge("emails_given_up", "E-mails that could not be sent.", [([], given_up)])


def _queue(name: str, waiting: list[Waiting]) -> Iterator[GaugeMetricFamily]:
    """Both figures for every rail, so that a series does not end when the last one is done."""
    words = name.replace("_", " ")
    counts = dict.fromkeys(_rails(), 0) | {one.rail: one.count for one in waiting}
    ages = dict.fromkeys(_rails(), 0.0) | {one.rail: one.oldest.total_seconds() for one in waiting}
    yield _of_rails(name, f"How many wait: {words}.", counts)
    yield _of_rails(f"{name}_oldest_seconds", f"How long the first has waited: {words}.", ages)


def _readings() -> Iterator[GaugeMetricFamily]:
    beaten = readings.last(readings.HEARTBEAT)
    if beaten is not None and beaten.value != readings.EXPECTED:
        age = beaten.age.total_seconds()
        yield _gauge("worker_heard_seconds", "Since a worker was last heard.", [([], age)])
    checked = readings.last(readings.LEDGER)
    if checked is not None:
        age = checked.age.total_seconds()
        yield _gauge("ledger_differences", "What the last check found.", [([], checked.value)])
        yield _gauge("ledger_checked_seconds", "Since the ledger was last checked.", [([], age)])


def _last_day() -> Iterator[GaugeMetricFamily]:
    """Ids are made in the order of time, so that a day of a large table is quickly counted."""
    since = first_id(datetime.now(UTC) - DAY)
    for model, name in (
        (Payment, "payments"),
        (Refund, "refunds"),
        (Dispute, "disputes"),
    ):
        counts = _since(model, since, "payment__rail" if model is Refund else "rail")
        yield _of_rails(f"{name}_last_day", f"New {name} of the last 24 hours.", counts)
    expired = Hold.objects.filter(pk__gte=since, state=HoldState.EXPIRED).count()
    yield _gauge("holds_expired_last_day", "Holds of a day that nobody ended.", [([], expired)])


def _since(model: type[models.Model], since: uuid.UUID, rail: str) -> dict[str, int]:
    rows = model._default_manager.filter(pk__gte=since).values(rail)
    counted = rows.annotate(count=Count("pk")).order_by(rail)
    return dict.fromkeys(_rails(), 0) | {row[rail]: row["count"] for row in counted}


def first_id(moment: datetime) -> uuid.UUID:
    """The smallest UUIDv7 that could have been made then."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)


def _rails() -> list[str]:
    from billing.services import rails

    return [rail.name for rail in rails.available()]


def _of_rails(
    name: str, words: str, values: dict[str, int] | dict[str, float]
) -> GaugeMetricFamily:
    samples = [([rail], value) for rail, value in sorted(values.items())]
    return _gauge(name, words, samples, ["rail"])


def _gauge(
    name: str, words: str, samples: Samples, labels: Sequence[str] = ()
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"portal_{name}", words, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family
