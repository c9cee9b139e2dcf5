"""Jobs that watch the others."""

from __future__ import annotations

from celery import shared_task

from billing_project.operations import alerts, readings

BEAT_TASK = "operations.beat"


@shared_task(name=BEAT_TASK, acks_late=True)
def beat() -> None:
    """Show that beat rings and a worker hears."""
    readings.note(readings.HEARTBEAT)


@shared_task(name="operations.watch", acks_late=True)
def watch() -> None:
    """Look for what is wrong and tell whom it concerns."""
    alerts.look()
