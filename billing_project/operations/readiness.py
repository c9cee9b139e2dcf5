"""Whether the portal is well, part by part, and whether it may take requests.

Web is ready with a database that fits its code. What else is missing is said, and does not take
web out of service: without Redis or a worker it still sells, and still stores what providers tell
it, which nobody would if it were taken away. The database is the queue, Redis only the doorbell
(limits are not counted meanwhile). ``strict`` is for whoever watches rather than routes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from billing import installed_sql
from billing_project.operations import backlog, readings, redis_health

logger = logging.getLogger(__name__)

DATABASE_TIMEOUT_MS = 3000


@dataclass(frozen=True, slots=True)
class Part:
    """One thing the portal stands on: whether it is well, and what there is to say of it."""

    name: str
    is_well: bool
    # Without it no request can be answered properly.
    is_vital: bool
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """All parts together."""

    parts: tuple[Part, ...]

    @property
    def is_ready(self) -> bool:
        """Whether requests may come."""
        return all(part.is_well for part in self.parts if part.is_vital)

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong at all."""
        return all(part.is_well for part in self.parts)

    def facts(self) -> dict[str, Any]:
        """For a person or a program that may know."""
        return {
            part.name: {"ok": part.is_well, "vital": part.is_vital} | part.facts
            for part in self.parts
        }


def examine() -> Health:
    """Look at every part now; takes seconds at most, whatever is down."""
    redis = Part("redis", redis_health.answers(), is_vital=False)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {DATABASE_TIMEOUT_MS}")
            return Health((Part("database", is_well=True, is_vital=True), *_stored(), redis))
    except DatabaseError as error:
        logger.warning("the database does not answer", extra={"error": type(error).__name__})
        connection.close()
        return Health((Part("database", is_well=False, is_vital=True), redis))


def _stored() -> list[Part]:
    """What the database tells."""
    missing = missing_migrations()
    if missing:  # the tables of the other questions may not be there
        return [Part("migrations", is_well=False, is_vital=True, facts={"missing": missing})]
    questions: list[Callable[[], Part]] = [_ledger_sql, _worker, _inbox]
    return [
        Part("migrations", is_well=True, is_vital=True),
        *(question() for question in questions),
    ]


def missing_migrations() -> int:
    """How many migrations of this code the database has not seen."""
    applied = set(MigrationRecorder(connection).applied_migrations())
    return sum(
        name not in applied and not (replaced and replaced <= applied)
        for name, replaced in _migrations().items()
    )


@cache
def _migrations() -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Every migration of this code, and those that it stands for; read from disk once."""
    graph = MigrationLoader(None).graph
    return {name: set(migration.replaces) for name, migration in graph.nodes.items() if migration}


def _ledger_sql() -> Part:
    is_current = installed_sql.installed_hash() == installed_sql.expected_hash()
    return Part("ledger_sql", is_current, is_vital=True)


def _worker() -> Part:
    beaten = readings.last(readings.HEARTBEAT)
    if beaten is None or beaten.value == readings.EXPECTED:
        return Part("worker", is_well=False, is_vital=False, facts={"last_heard_seconds": None})
    return Part(
        "worker",
        beaten.age <= readings.longest_silence(),
        is_vital=False,
        facts={"last_heard_seconds": _seconds(beaten.age)},
    )


def _inbox() -> Part:
    waiting = backlog.events()
    age = backlog.oldest(waiting)
    return Part(
        "inbox",
        age <= timedelta(minutes=settings.ALERT_INBOX_MINUTES),
        is_vital=False,
        facts={
            "waiting": sum(one.count for one in waiting),
            "oldest_seconds": _seconds(age),
        },
    )


def _seconds(age: timedelta) -> int:
    return int(age.total_seconds())
