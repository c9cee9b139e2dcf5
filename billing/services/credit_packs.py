"""Credit packs: the product that puts credits into a wallet."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from billing import ledger
from billing.catalogue import CreditPack
from billing.models import Code, Order
from billing.money import CREDIT, Asset
from billing.services import products
from billing.services.lot_products import LotProduct, origin_of
from common.errors import InvalidInput


def sold(pack: CreditPack, asset: Asset) -> products.Sold:
    """What an order keeps of a pack sold in that asset. Raises InvalidInput when it is not."""
    price = pack.price_in(asset)
    if price is None:
        raise InvalidInput(_("This package is not sold that way."), code="not_sold_that_way")
    return products.Sold(
        kind=CreditPackType.kind,
        slug=pack.slug,
        name=pack.name,
        price=price,
        snapshot={
            "credits_minor": pack.credits.amount_minor,
            "expires_days": pack.expires_days,
        },
    )


class CreditPackType(LotProduct):
    """Delivers a pack as one lot of credits whose cost is the order's net."""

    kind = "credit_pack"

    def deliver(self, order: Order, *, at: datetime) -> None:
        days = order.snapshot["expires_days"]
        # Counted from payment, so that a delivery tried twice grants the same lot.
        paid_at = order.paid_at or at
        ledger.grant(
            ledger.wallet(order.customer, CREDIT),
            order.snapshot["credits_minor"],
            code=Code.PURCHASE,
            key=f"order:{order.pk}:grant",
            group=f"order:{order.pk}",
            occurred_at=paid_at,
            origin=origin_of(order),
            expires_at=paid_at + timedelta(days=days) if days else None,
            cost_minor=order.net.amount_minor,
            cost_asset=order.unit,
        )


products.register(CreditPackType())
