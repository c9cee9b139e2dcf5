"""The scheduler's tables in the admin's look: its own pages, with the theme's form controls."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin


def _in_our_look(model: type[Model]) -> None:
    """Register ``model`` again, with what its package says of it and the theme's controls."""
    theirs = type(admin.site.get_model_admin(model))
    admin.site.unregister(model)
    admin.site.register(model, type(theirs.__name__, (theirs, ModelAdmin), {}))


for scheduled in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    _in_our_look(scheduled)
