"""Housekeeping of the lowest layer."""

from celery import shared_task
from django.core.management import call_command

from common import idempotency


@shared_task(name="common.purge_idempotency_keys", acks_late=True)
def purge_idempotency_keys() -> int:
    """Forget API answers older than a day; returns how many."""
    return idempotency.purge_expired()


@shared_task(name="common.purge_sessions", acks_late=True)
def purge_sessions() -> None:
    """Delete the sessions that have run out."""
    call_command("clearsessions")
