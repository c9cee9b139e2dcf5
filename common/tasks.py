"""Housekeeping of the lowest layer."""

from celery import shared_task

from common import idempotency


@shared_task(name="common.purge_idempotency_keys", acks_late=True)
def purge_idempotency_keys() -> int:
    """Forget API answers older than a day; returns how many."""
    return idempotency.purge_expired()
