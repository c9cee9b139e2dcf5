"""The scheduler's tables in the admin: shown with the theme's controls, and still saved."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tests.billing.staff import sign_in

pytestmark = pytest.mark.django_db


def test_staff_switches_a_job_off_and_says_when_it_starts() -> None:
    every_minute = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.MINUTES)
    job = PeriodicTask.objects.create(name="a job", task="a.task", interval=every_minute)
    staff = sign_in()
    url = reverse("admin:django_celery_beat_periodictask_change", args=[job.pk])
    page = staff.get(url)
    sent = {
        "name": "a job", "task": "a.task", "interval": every_minute.pk, "args": "[]",
        "kwargs": "{}", "headers": "{}", "start_time_0": "2026-11-22", "start_time_1": "10:00",
    }  # fmt: skip

    answer = staff.post(url, sent)

    job.refresh_from_db()
    assert 'placeholder="Date"' in page.text
    assert answer.status_code == 302, answer.text
    assert not job.enabled
    assert job.start_time is not None
    assert job.start_time.isoformat() == "2026-11-22T10:00:00+00:00"
