"""Money: integers that know their asset, shown as people write them."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import money
from billing.money import CREDIT, USD, XTR, Money


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
