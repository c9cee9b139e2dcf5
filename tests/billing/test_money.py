"""Money: integers that know their asset, shown as people write them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from billing import money
from billing.money import CREDIT, FLUX, STAR, USD, USDC, XTR, Money


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Money(29_99, USD), "$29.99"),
        (Money(1_234_567_05, USD), "$1,234,567.05"),
        (Money(-5, USD), "-$0.05"),
        (Money(499, XTR), "499 Stars"),
        (Money(2_500_000_000, CREDIT), "2,500 credits"),
        (Money(1_500_000, CREDIT), "1.5 credits"),
        (Money(1, CREDIT), "0.000001 credits"),
    ],
)
def test_an_amount_reads_as_a_person_writes_it(amount: Money, text: str) -> None:
    assert str(amount) == text


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Money(12_50, USD), "12,50 $"),
        (Money(1_234_567_05, USD), "1 234 567,05 $"),
        (Money(-5, USD), "−0,05 $"),
        (Money(0, USD), "0,00 $"),
        (Money(0, CREDIT), "0 кредитов"),
        (Money(1_000_000, CREDIT), "1 кредит"),
        (Money(21_000_000, CREDIT), "21 кредит"),
        (Money(-3_000_000, CREDIT), "−3 кредита"),
        (Money(11_000_000, CREDIT), "11 кредитов"),
        (Money(112_000_000, CREDIT), "112 кредитов"),
        (Money(1_022_000_000, CREDIT), "1 022 кредита"),
        (Money(2_500_000_000, CREDIT), "2 500 кредитов"),
        (Money(2_500_250_000, CREDIT), "2 500,25 кредита"),
        (Money(1, CREDIT), "0,000001 кредита"),
        (Money(1, XTR), "1 звезда"),
        (Money(1_504, XTR), "1 504 звезды"),
        (Money(499, XTR), "499 звёзд"),
        (Money(2, STAR), "2 звезды на балансе"),
        (Money(1_500_000, USDC), "1,5 USDC"),
        (Money(50, FLUX), "50 FLUX"),
    ],
)
def test_an_amount_reads_as_a_russian_writes_it_on_one_line(amount: Money, text: str) -> None:
    with translation.override("ru"):
        written = str(amount)

    # All but the space inside "на балансе" keep the line together.
    assert written.replace("\N{NO-BREAK SPACE}", " ") == text
    assert " " not in written.removesuffix(" на балансе")


@given(st.integers(-(10**15), 10**15), st.sampled_from(list(money.ASSETS.values())))
def test_every_language_writes_the_same_number(amount_minor: int, asset: money.Asset) -> None:
    amount = Money(amount_minor, asset)
    with translation.override("ru"):
        russian = str(amount)

    number = russian.translate({ord(","): ".", ord("−"): "-", ord("\N{NO-BREAK SPACE}"): None})
    digits = "".join(one for one in number if one in "-.0123456789")
    assert digits == ("-" if amount_minor < 0 else "") + amount.plain()


def test_machines_read_the_same_in_every_language() -> None:
    with translation.override("ru"):
        assert Money(1_234_50, USD).plain(grouped=True) == "1,234.50"


def test_assets_never_mix() -> None:
    with pytest.raises(ValueError, match="do not mix"):
        Money(1, USD) + Money(1, XTR)
    with pytest.raises(ValueError, match="do not mix"):
        _ = Money(1, USD) < Money(1, XTR)


def test_an_undeclared_asset_is_named() -> None:
    with pytest.raises(KeyError, match="EUR"):
        money.asset("EUR")


@given(st.integers(0, 10**12), st.integers(0, 10**6), st.integers(1, 10**6))
def test_sharing_rounds_half_to_even(amount: int, part: int, whole: int) -> None:
    exact = Decimal(amount * part) / Decimal(whole)

    assert money.share_half_even(amount, part, whole) == int(
        exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    )
    assert money.share_floor(amount, part, whole) == amount * part // whole
