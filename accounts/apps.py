"""Users, customers, memberships, API keys."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Knows people and parties; knows nothing of money or of any payment provider."""

    name = "accounts"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let the OpenAPI document know our ways to sign in."""
        from accounts import schema  # noqa: F401
