"""What a session comes to: lines, discount, tax, all in the currency's smallest unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

ZERO_DECIMAL = frozenset(
    {
        "bif",
        "clp",
        "djf",
        "gnf",
        "jpy",
        "kmf",
        "krw",
        "mga",
        "pyg",
        "rwf",
        "ugx",
        "vnd",
        "vuv",
        "xaf",
        "xof",
        "xpf",
    }
)


@dataclass(slots=True)
class Line:
    """One line's amounts. ``total`` is what is paid for it, tax included."""

    subtotal: int
    discountable: bool = True
    discount: int = 0
    tax: int = 0

    @property
    def net(self) -> int:
        """After the discount, before tax."""
        return self.subtotal - self.discount

    @property
    def total(self) -> int:
        """After discount and tax."""
        return self.net + self.tax


def rounded(value: Fraction) -> int:
    """To the nearest unit, halves up (amounts are never negative here)."""
    return int(value + Fraction(1, 2))


def shared(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide ``amount`` in proportion to ``weights``; the largest remainders get what is left."""
    whole = sum(weights)
    if whole == 0:
        return [amount, *[0] * (len(weights) - 1)] if weights else []
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(
        range(len(weights)), key=lambda place: (-(amount * weights[place] % whole), place)
    )
    for place in by_remainder[: amount - sum(parts)]:
        parts[place] += 1
    return parts


def apply_discount(
    lines: Sequence[Line], *, percent_off: float | None, amount_off: int | None
) -> None:
    """Take a coupon's percentage or amount off the lines it applies to, at most to zero."""
    weights = [line.subtotal if line.discountable else 0 for line in lines]
    if percent_off is not None:
        discount = rounded(sum(weights) * Fraction(str(percent_off)) / 100)
    else:
        discount = min(amount_off or 0, sum(weights))
    if sum(weights) == 0:
        return
    for line, part in zip(lines, shared(discount, weights), strict=True):
        line.discount = part


def apply_tax(lines: Sequence[Line], *, rate_bps: int, exact_minor: int | None = None) -> None:
    """Add tax on top of the net amounts: by rate, or exactly so much in all."""
    nets = [line.net for line in lines]
    tax = exact_minor
    if tax is None:
        tax = rounded(Fraction(sum(nets) * rate_bps, 10_000))
    for line, part in zip(lines, shared(tax, nets), strict=True):
        line.tax = part


def display(amount: int, currency: str) -> str:
    """An amount as a person writes it."""
    if currency in ZERO_DECIMAL:
        return f"{amount:,} {currency.upper()}"
    sign = "−" if amount < 0 else ""
    whole, part = divmod(abs(amount), 100)
    written = f"{whole:,}.{part:02d}"
    return f"{sign}${written}" if currency == "usd" else f"{sign}{written} {currency.upper()}"
