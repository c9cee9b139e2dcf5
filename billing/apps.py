"""The billing app: catalogue, ledger, orders, payments, refunds and the card rail."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class BillingConfig(AppConfig):
    """Installs the ledger's SQL after each migrate and fills the registries at start-up."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "billing"

    def ready(self) -> None:
        """Load what registers itself: products, rails, checks, tasks."""
        from billing import checks, installed_sql, rails, services  # noqa: F401
        from billing.views import upgrades

        post_migrate.connect(installed_sql.install_after_migrate, sender=self)
        services.register_products()
        rails.register_rails()
        upgrades.register_pages()
        services.register_letters()
        services.register_account_parts()
