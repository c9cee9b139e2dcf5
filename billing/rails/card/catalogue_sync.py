"""Our catalogue at Stripe: products under ids of ours, prices under lookup keys."""

from __future__ import annotations

from typing import Any

import stripe

from billing import catalogue
from billing.money import USD, Money
from billing.plans import Plan
from billing.rails.card.client import reachable

_KNOWN: set[str] = set()


def ensure_product(kind: str, slug: str, name: str) -> str:
    """The Stripe product that sales of this item are booked under; made if it is missing."""
    product_id = f"{kind}_{slug}"
    if product_id not in _KNOWN:
        with reachable():
            _product(product_id, name)
        _KNOWN.add(product_id)
    return product_id


def ensure_price(product_id: str, interval: str, price: Money) -> str:
    """The recurring Stripe price of a plan; made if it is missing or costs something else now."""
    lookup_key = price_key(product_id, interval, price)
    with reachable():
        _price(product_id, lookup_key, price, interval)
        return stripe.Price.list(lookup_keys=[lookup_key], limit=1).data[0].id


def price_key(product_id: str, interval: str, price: Money) -> str:
    """The name under which Stripe keeps today's price of something that recurs."""
    return f"{product_id}_{interval}_{price.asset.code.lower()}"


def sync() -> list[str]:
    """Mirror every card-priced package and plan to Stripe; returns what was made or changed.

    Idempotent: products have our own ids, prices are found by lookup key. A changed price is a new
    one that takes the lookup key over; the old one is archived, as Stripe's prices never change.
    """
    changed: list[str] = []
    with reachable():
        for pack in catalogue.current().credit_packs:
            price = pack.price_in(USD)
            if price is not None:
                product_id = f"credit_pack_{pack.slug}"
                changed += _product(product_id, pack.name)
                changed += _price(product_id, f"{product_id}_usd", price)
        changed += _product("credit_pack_custom", "Credits")
        for plan in catalogue.current().plans:
            changed += _plan(plan)
    return changed


def _plan(plan: Plan) -> list[str]:
    """A plan is a product, and a recurring price per interval."""
    changed: list[str] = []
    product_id = f"plan_{plan.slug}"
    for offer in catalogue.current().offers(plan.slug, USD):
        changed += _product(product_id, plan.name)
        changed += _price(
            product_id,
            price_key(product_id, offer.interval, offer.price),
            offer.price,
            offer.interval,
        )
    return changed


def _product(product_id: str, name: str) -> list[str]:
    try:
        product = stripe.Product.retrieve(product_id)
    except stripe.InvalidRequestError as error:
        if error.code != "resource_missing":
            raise
        return _make_product(product_id, name)
    if product.name == name and product.active:
        return []
    stripe.Product.modify(product_id, name=name, active=True)
    return [f"product {product_id} changed"]


def _make_product(product_id: str, name: str) -> list[str]:
    try:
        stripe.Product.create(id=product_id, name=name)
    except stripe.InvalidRequestError as error:
        if error.code != "resource_already_exists":
            raise
        return []  # two first sales at once: the other one made it
    return [f"product {product_id} made"]


def _price(
    product_id: str, lookup_key: str, price: Money, interval: str | None = None
) -> list[str]:
    found = stripe.Price.list(lookup_keys=[lookup_key], limit=1).data
    currency = price.asset.code.lower()
    if (
        found
        and found[0].active
        and (found[0].unit_amount, found[0].currency)
        == (
            price.amount_minor,
            currency,
        )
    ):
        return []
    terms: dict[str, Any] = {"recurring": {"interval": interval}} if interval else {}
    stripe.Price.create(
        product=product_id,
        currency=currency,
        unit_amount=price.amount_minor,
        tax_behavior="exclusive",
        lookup_key=lookup_key,
        transfer_lookup_key=True,
        **terms,
    )
    if found:
        stripe.Price.modify(found[0].id, active=False)
    return [f"price {lookup_key} set to {price}"]
