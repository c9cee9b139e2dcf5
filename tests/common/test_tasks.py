"""Housekeeping."""

from datetime import UTC, datetime, timedelta

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.sessions.models import Session

from common.tasks import purge_sessions


@pytest.mark.django_db
def test_sessions_that_have_run_out_are_deleted() -> None:
    now = datetime.now(UTC)
    for key, days in (("old", -1), ("live", 1)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=now + timedelta(days=days)
        )

    purge_sessions()

    assert [session.session_key for session in Session.objects.all()] == ["live"]


def test_the_schedule_names_tasks_that_exist() -> None:
    current_app.loader.import_default_modules()
    ours = {
        entry["task"]
        for entry in settings.CELERY_BEAT_SCHEDULE.values()
        if entry["task"].startswith("common.")
    }

    assert ours == {"common.purge_idempotency_keys", "common.purge_sessions"}
    assert ours <= set(current_app.tasks)
