"""The app that keeps what running the portal needs to remember."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Listens to Celery: request ids travel with tasks, and results that matter are kept."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "billing_project.operations"
    label = "operations"

    def ready(self) -> None:
        """Connect the listeners."""
        from billing_project.operations import listeners

        listeners.connect()
