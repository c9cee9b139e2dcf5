"""What counts as wrong: each condition has a name that stays and a sentence of today's figures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.conf import settings

from billing.models import Payment, ReconciliationRun, Refund, RunOutcome
from billing_project.operations import backlog, readings, redis_health
from billing_project.operations.backlog import Waiting
from billing_project.operations.stored_metrics import first_id

DAY = timedelta(days=1)
# A night's check may be late, not left out.
CHECKED_WITHIN = timedelta(hours=36)
# Longer than a mail server is restarted or a greylist lasts.
EMAILS_ARE_LATE = timedelta(hours=1)


def present() -> dict[str, str]:
    """Everything that is wrong now, by name. Figures only: no customer is named."""
    found = {name: condition() for name, condition in CONDITIONS.items()}
    return {name: sentence for name, sentence in found.items() if sentence}


def _refund_rate() -> str:
    since = first_id(datetime.now(UTC) - DAY)
    payments = Payment.objects.filter(pk__gte=since).count()
    refunds = Refund.objects.filter(pk__gte=since).count()
    if refunds < settings.ALERT_REFUND_COUNT:
        return ""
    percent = settings.ALERT_REFUND_PERCENT
    if refunds * 100 <= percent * payments:
        return ""
    return f"{refunds} refunds for {payments} payments in 24 hours, more than {percent} %."


def _inbox() -> str:
    waiting = backlog.events()
    return _late(waiting, settings.ALERT_INBOX_MINUTES, "provider events are not handled")


def _deliveries() -> str:
    waiting = backlog.deliveries()
    return _late(waiting, settings.ALERT_DELIVERY_MINUTES, "paid orders are not delivered")


def _outgoing() -> str:
    waiting = backlog.outgoing()
    return _late(
        waiting,
        settings.ALERT_OUTGOING_MINUTES,
        "refunds or ended subscriptions have not reached their provider",
    )


def _emails() -> str:
    waiting = backlog.emails()
    if waiting is None or waiting.oldest <= EMAILS_ARE_LATE:
        return ""
    minutes = int(waiting.oldest.total_seconds() // 60)
    return f"{waiting.count} e-mails are not sent; the oldest waits for {minutes} minutes."


def _emails_given_up() -> str:
    count = backlog.emails_given_up()
    return f"{count} e-mails could not be sent and were given up." if count else ""


def _ledger() -> str:
    checked = readings.last(readings.LEDGER)
    if checked is None or checked.value == 0:
        return ""
    return f"The ledger does not add up: {checked.value} differences. Run manage.py check_ledger."


def _unchecked() -> str:
    checked = readings.last(readings.LEDGER)
    if checked is None or checked.age <= CHECKED_WITHIN:
        return ""
    hours = int(checked.age.total_seconds() // 3600)
    return f"The ledger was last checked {hours} hours ago; that is every night's work."


def _broken_off() -> str:
    ended = ReconciliationRun.objects.filter(finished_at__isnull=False)
    last = ended.order_by("rail", "-finished_at").distinct("rail")
    bad = (RunOutcome.FAILED, RunOutcome.UNREACHABLE)
    found = [f"{run.rail} ({run.get_outcome_display()})" for run in last if run.outcome in bad]
    return f"The last reconciliation did not end well: {', '.join(found)}." if found else ""


def _reconciliation() -> str:
    left = backlog.differences_left()
    if not left:
        return ""
    rails = ", ".join(f"{rail} {count}" for rail, count in left.items())
    return f"Reconciliation left differences for somebody to look at: {rails}."


def _redis() -> str:
    if redis_health.answers():
        return ""
    return "Redis does not answer: jobs are not rung for, and limits are not counted."


def _worker() -> str:
    beaten = readings.last(readings.HEARTBEAT)
    if beaten is None or beaten.age <= readings.longest_silence():
        return ""
    return f"No worker has been heard for {settings.ALERT_WORKER_MINUTES} minutes."


def _late(waiting: list[Waiting], minutes: int, words: str) -> str:
    limit = timedelta(minutes=minutes)
    late = [one for one in waiting if one.oldest > limit]
    if not late:
        return ""
    rails = ", ".join(f"{one.rail} {one.count}" for one in late)
    oldest = int(backlog.oldest(late).total_seconds() // 60)
    return f"{words[0].upper()}{words[1:]} ({rails}); the oldest waits for {oldest} minutes."


# The names are kept with each alert and shown in its messages.
CONDITIONS: dict[str, Callable[[], str]] = {
    "refund rate": _refund_rate,
    "stuck inbox": _inbox,
    "failed deliveries": _deliveries,
    "calls not sent": _outgoing,
    "e-mails not sent": _emails,
    "e-mails given up": _emails_given_up,
    "ledger drift": _ledger,
    "ledger unchecked": _unchecked,
    "provider drift": _reconciliation,
    "reconciliation broken off": _broken_off,
    "redis down": _redis,
    "worker silent": _worker,
}
