"""The catalogue: typed prices, overridden by the environment, refused by name when wrong."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from billing import catalogue
from billing.money import CREDIT, USD, XTR, Money
from common.errors import InvalidInput


def test_the_seed_packages_are_for_sale() -> None:
    packs = {pack.slug: pack for pack in catalogue.load({}).credit_packs}

    assert packs["small"].prices == (Money(5_00, USD),)
    assert packs["small"].credits == Money(2_500_000_000, CREDIT)
    assert packs["pkg_1000"].price_in(XTR) == Money(100, XTR)
    assert packs["pkg_1000"].price_in(USD) is None


def test_both_price_lists_agree() -> None:
    sold = catalogue.load({})

    assert sold.credits_for(Money(20, USD), slug="x").credits == Money(100_000_000, CREDIT)
    assert sold.credits_for(Money(10, XTR), slug="x").credits == Money(100_000_000, CREDIT)


def test_prices_and_amounts_follow_the_environment() -> None:
    sold = catalogue.load({"CREDITS_SMALL_PRICE": "4.99", "CREDITS_SMALL_AMOUNT": "3000"})

    small = sold.credit_pack("small")
    assert small.prices == (Money(4_99, USD),)
    assert small.credits == Money(3_000_000_000, CREDIT)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CREDITS_SMALL_PRICE", "-5"),
        ("CREDITS_SMALL_PRICE", "0"),
        ("CREDITS_SMALL_PRICE", "4.999"),
        ("CREDITS_SMALL_PRICE", "cheap"),
        ("CREDITS_SMALL_PRICE", "NaN"),
        ("CREDITS_SMALL_PRICE", "1e99"),
        ("CREDITS_PKG_100_PRICE", "1.5"),
        ("CREDITS_SMALL_AMOUNT", "0"),
        ("CREDITS_SMALL_AMOUNT", "many"),
        ("CREDITS_PER_USD", "0"),
        ("CREDITS_EXPIRE_DAYS", "-1"),
        ("CREATOR_REVENUE_SHARE", "1.1"),
        ("CREATOR_REVENUE_SHARE", "0.90001"),
        ("CREDITS_CUSTOM_MAX_PRICE", "0.50"),
    ],
)
def test_a_bad_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"^{name}: "):
        catalogue.load({name: value})


def test_a_custom_amount_buys_at_the_rate() -> None:
    pack = catalogue.load({}).custom_credit_pack(Money(12_50, USD))

    assert pack.credits == Money(6_250_000_000, CREDIT)
    assert pack.price_in(USD) == Money(12_50, USD)


@pytest.mark.parametrize("price", [Money(99, USD), Money(1000_01, USD), Money(500, XTR)])
def test_a_custom_amount_keeps_to_its_limits(price: Money) -> None:
    with pytest.raises(InvalidInput):
        catalogue.load({}).custom_credit_pack(price)


def test_an_unknown_package_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput) as refusal:
        catalogue.load({}).credit_pack("huge")

    assert "small" in refusal.value.fields["package"][0]
