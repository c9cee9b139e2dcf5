"""Buying credits: what is wanted, over which rail, becomes an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Customer, User
from billing import catalogue
from billing.catalogue import CreditPack
from billing.models import Order, OrderStatus
from billing.money import Asset, Money
from billing.services import credit_packs, orders, products, rails
from billing.services.rails import Rail
from common.errors import InvalidInput

SAME_CLICK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PackOffer:
    """A package, and how it can be paid here: each rail with its price."""

    pack: CreditPack
    ways: Sequence[tuple[Rail, Money]]


def pack_offers() -> list[PackOffer]:
    """The packages that can be bought here, as the catalogue lists them."""
    offers = []
    for pack in catalogue.current().credit_packs:
        ways = [
            (rail, price)
            for rail in rails.available()
            for price in pack.prices
            if price.asset in rail.assets
        ]
        if ways:
            offers.append(PackOffer(pack, ways))
    return offers


def package(slug: str, *, rail: str) -> products.Sold:
    """A package of the catalogue, priced as the rail takes money.

    Raises InvalidInput for an unknown package or rail, or one that does not sell it.
    """
    pack = catalogue.current().credit_pack(slug)
    for unit in rails.named(rail).assets:
        if pack.price_in(unit) is not None:
            return credit_packs.sold(pack, unit)
    raise InvalidInput(
        _("This package is not sold that way."),
        code="not_sold_that_way",
        fields={"rail": [_("This package is not sold that way.")]},
    )


def custom(amount_minor: int, *, rail: str) -> products.Sold:
    """Credits for an amount of the buyer's choice. Raises InvalidInput outside the limits."""
    unit = custom_unit()
    if unit not in rails.named(rail).assets:
        raise InvalidInput(
            _("Amounts of your choice are not sold that way."),
            code="not_sold_that_way",
            fields={"rail": [_("It does not take %(unit)s.") % {"unit": unit}]},
        )
    return credit_packs.sold(
        catalogue.current().custom_credit_pack(Money(amount_minor, unit)), unit
    )


def custom_unit() -> Asset:
    """The asset in which amounts of the buyer's choice are named."""
    return catalogue.current().custom_min.asset


@transaction.atomic
def start(customer: Customer, item: products.Sold, *, rail: str, placed_by: User | None) -> Order:
    """An order from the buy page. A second click in the same minute continues the first's order."""
    # Two clicks at the same moment wait for each other here.
    Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    started = Order.objects.filter(
        created_at__gte=Now() - SAME_CLICK,
        customer=customer,
        rail=rail,
        status=OrderStatus.OPEN,
        product_kind=item.kind,
        product_slug=item.slug,
        snapshot=item.snapshot,
        asset=item.price.asset.code,
        subtotal_minor=item.price.amount_minor,
    )
    return started.order_by("-pk").first() or orders.open_order(
        customer, item, rail=rail, placed_by=placed_by
    )


@transaction.atomic
def start_once(
    customer: Customer,
    item: products.Sold,
    *,
    rail: str,
    placed_by: User | None,
    return_url: str = "",
    cause: UUID | None = None,
) -> Order:
    """An order from a program; the same ``cause`` gets the same order, None always a new one."""
    if cause is not None:
        first = Order.objects.filter(pk=cause, customer=customer).first()
        if first is not None:
            return first
    return orders.open_order(
        customer, item, rail=rail, placed_by=placed_by, return_url=return_url, order_id=cause
    )
