"""What Celery beat rings, and when (DESIGN section 8)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery.schedules import crontab

SCHEDULE: dict[str, dict[str, Any]] = {
    "sweep": {"task": "billing.sweep", "schedule": timedelta(minutes=1)},
    "top_up": {"task": "billing.top_up", "schedule": timedelta(minutes=1)},
    "customers": {
        "task": "billing.create_missing_rail_customers",
        "schedule": timedelta(minutes=1),
    },
    "emails": {"task": "billing.send_emails", "schedule": timedelta(minutes=1)},
    "reminders": {"task": "billing.write_reminders", "schedule": crontab(minute=37)},
    "lots": {"task": "billing.expire_lots", "schedule": crontab(minute=7)},
    "spend_caps": {"task": "billing.tell_spend_caps", "schedule": crontab(minute=27)},
    "subscriptions": {"task": "billing.keep_subscriptions", "schedule": crontab(minute=17)},
    "reconcile": {"task": "billing.reconcile_rails", "schedule": crontab(hour=3, minute=20)},
    "late_invoices": {
        "task": "billing.issue_late_invoices",
        "schedule": crontab(hour=3, minute=50),
    },
    "snapshots": {"task": "billing.snapshot_accounts", "schedule": crontab(hour=2, minute=40)},
    "check": {"task": "billing.check_ledger", "schedule": crontab(hour=4, minute=10)},
    "api_answers": {"task": "common.purge_idempotency_keys", "schedule": crontab(minute=41)},
    "sessions": {"task": "common.purge_sessions", "schedule": crontab(hour=5, minute=10)},
    "closed_accounts": {
        "task": "accounts.forget_closed",
        "schedule": crontab(hour=5, minute=25),
    },
    "heartbeat": {"task": "operations.beat", "schedule": timedelta(minutes=1)},
    "watch": {"task": "operations.watch", "schedule": timedelta(minutes=5)},
}
