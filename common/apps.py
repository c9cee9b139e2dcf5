"""The app that owns what every other app stands on."""

from django.apps import AppConfig


class CommonConfig(AppConfig):
    """Holds one model, the idempotency keys of the API, and no business of its own."""

    name = "common"
    default_auto_field = "django.db.models.BigAutoField"
