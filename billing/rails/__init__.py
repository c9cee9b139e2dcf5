"""Ways to pay. A rail opens pay pages, handles its provider's events and refunds.

It knows nothing of products.
"""

from django.conf import settings


def register_rails() -> None:
    """Register the rails whose keys are set, and the wallet, which needs none."""
    from billing.rails.wallet.rail import WalletRail
    from billing.services import rails

    if settings.STRIPE_SECRET_KEY:
        from billing.rails.card import client
        from billing.rails.card.rail import CardRail

        client.configure()
        rails.register(CardRail())
    rails.register(WalletRail())
