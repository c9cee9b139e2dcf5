"""Housekeeping of accounts."""

from celery import shared_task

from accounts.services import closing


@shared_task(name="accounts.forget_closed", acks_late=True)
def forget_closed() -> int:
    """Take names and addresses out of accounts closed 30 days ago; returns how many."""
    return closing.forget_due()
