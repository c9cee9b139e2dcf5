"""Alerts: each is told once while it lasts, and once when it is over, on every channel."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from billing_project.operations import channels, conditions
from billing_project.operations.channels import Channel, Unreachable
from billing_project.operations.models import Alert

logger = logging.getLogger(__name__)

LOCK_KEY = 0x616C657274  # "alert"
# What a channel could not be told for so long is not news any more.
NEWS_FOR = timedelta(days=1)


def look() -> None:
    """Compare what is wrong with what was, keep the difference, and tell what was not told yet.

    Safe to call at any time from anywhere: one caller at a time looks, the others leave.
    """
    with _alone() as is_alone:
        if not is_alone:
            return
        _keep(conditions.present())
        for channel in channels.configured():
            _tell(channel)


def _keep(found: dict[str, str]) -> None:
    ended: Any = Now()
    open_alerts = Alert.objects.filter(ended_at=None)
    open_alerts.exclude(name__in=found).update(ended_at=ended)
    known = set(Alert.objects.filter(ended_at=None).values_list("name", flat=True))
    for name, detail in found.items():
        if name not in known:
            Alert.objects.create(name=name, detail=detail)
            logger.error("alert", extra={"alert": name, "detail": detail})


def _tell(channel: Channel) -> None:
    """Everything this channel has not been told; the rest waits when it cannot be reached."""
    begun = ~Q(told_begin__contains=[channel.name]) & Q(ended_at=None)
    over = ~Q(told_end__contains=[channel.name]) & Q(ended_at__isnull=False)
    recent = Q(ended_at=None) | Q(ended_at__gte=Now() - NEWS_FOR)
    for alert in Alert.objects.filter(begun | over).filter(recent).order_by("began_at", "pk"):
        try:
            channel.send(*_message(alert))
        except Unreachable as problem:
            logger.warning(
                "alert not sent", extra={"channel": channel.name, "problem": str(problem)}
            )
            return
        told = alert.told_begin if alert.ended_at is None else alert.told_end
        told.append(channel.name)
        alert.save(update_fields=["told_begin", "told_end"])


def _message(alert: Alert) -> tuple[str, str]:
    """Subject and text."""
    host = settings.PUBLIC_URL.partition("://")[2]
    began = f"{alert.began_at:%Y-%m-%d %H:%M} UTC"
    if alert.ended_at is None:
        return f"[{host}] {alert.name}", f"{alert.detail}\nSince {began}."
    return (
        f"[{host}] over: {alert.name}",
        f"It lasted from {began} to {alert.ended_at:%Y-%m-%d %H:%M} UTC. It was: {alert.detail}",
    )


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else looks at this moment; a dead one lets go by itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])
        (is_alone,) = cursor.fetchone()
    try:
        yield bool(is_alone)
    finally:
        if is_alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])
