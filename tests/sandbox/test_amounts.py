"""Discount and tax, to the unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe.amounts import Line, apply_discount, apply_tax, display, shared

AMOUNTS = st.integers(0, 10**8)


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1, max_size=8))
def test_shares_add_up_and_none_is_off_by_a_unit(amount: int, weights: list[int]) -> None:
    parts = shared(amount, weights)

    assert sum(parts) == amount
    whole = sum(weights)
    if whole:
        exact = [amount * weight / whole for weight in weights]
        assert all(abs(part - fair) < 1.001 for part, fair in zip(parts, exact, strict=True))


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=5),
    st.integers(1, 10_000),
    st.integers(0, 3000),
)
def test_a_percentage_never_goes_below_zero(
    subtotals: list[int], percent: int, rate_bps: int
) -> None:
    lines = [Line(subtotal) for subtotal in subtotals]

    apply_discount(lines, percent_off=percent / 100, amount_off=None)
    apply_tax(lines, rate_bps=rate_bps)

    assert all(0 <= line.discount <= line.subtotal for line in lines)
    assert all(line.tax >= 0 for line in lines)
    if percent == 10_000:
        assert sum(line.total for line in lines) == 0


def test_an_amount_off_stops_at_zero_and_spares_other_products() -> None:
    lines = [Line(300), Line(500, discountable=False)]

    apply_discount(lines, percent_off=None, amount_off=1000)

    assert [line.total for line in lines] == [0, 500]


def test_an_exact_tax_is_divided_over_the_lines() -> None:
    lines = [Line(100), Line(100), Line(100)]

    apply_tax(lines, rate_bps=1900, exact_minor=100)

    assert [line.tax for line in lines] == [34, 33, 33]


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (123456, "usd", "$1,234.56"),
        (-5, "usd", "−$0.05"),
        (500, "eur", "5.00 EUR"),
        (500, "jpy", "500 JPY"),
    ],
)
def test_amounts_are_written_as_people_do(amount: int, currency: str, written: str) -> None:
    assert display(amount, currency) == written
