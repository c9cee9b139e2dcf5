"""dj-stripe's copy of Stripe's objects: to look at, nothing else.

Its own admin pages add and edit copies, show secrets, and call Stripe without leaving a line in
the log of staff actions; ours take their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from billing.admin.base import LongTableAdmin

# What they hold is secret, or of no use here.
HIDDEN = {"apikey", "webhookendpoint", "webhookeventtrigger", "idempotencykey"}


class MirrorAdmin(LongTableAdmin):
    """Copies, newest first."""

    list_display = ["id", "created", "livemode", "djstripe_updated"]
    search_fields = ["id"]
    search_help_text = "Stripe's id."
    ordering = ["-djstripe_created", "-pk"]
    date_hierarchy = None

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Sequence[Any]:
        return ["id", "created", "livemode", "djstripe_created", "djstripe_updated", "stripe_data"]


def replace() -> None:
    """Put our pages in the place of dj-stripe's."""
    for model in apps.get_app_config("djstripe").get_models():
        if not admin.site.is_registered(model):
            continue
        admin.site.unregister(model)
        if model._meta.model_name not in HIDDEN:
            admin.site.register(model, MirrorAdmin)


replace()
