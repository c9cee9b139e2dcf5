"""Amounts: integers of an asset's smallest unit, and the few ways they may be divided."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import get_language


@dataclass(frozen=True, slots=True)
class Asset:
    """Something that is counted: a currency, credits, or a unit of quota.

    ``exponent`` is how many decimals a person writes: 2 for dollars, 0 for Stars.
    """

    code: str
    exponent: int
    prefix: str = ""
    suffix: str = ""

    @property
    def unit_minor(self) -> int:
        """How many smallest units make one, e.g. 100 cents a dollar."""
        return int(10**self.exponent)

    def __str__(self) -> str:
        return self.code


USD = Asset("USD", 2, prefix="$")
XTR = Asset("XTR", 0, suffix=" Stars")
USDC = Asset("USDC", 6, suffix=" USDC")
CREDIT = Asset("CREDIT", 6, suffix=" credits")
FLUX = Asset("FLUX", 0, suffix=" FLUX")
KLING = Asset("KLING", 0, suffix=" KLING")
STAR = Asset("STAR", 0, suffix=" Stars balance")

ASSETS: dict[str, Asset] = {
    asset.code: asset for asset in (USD, XTR, USDC, CREDIT, FLUX, KLING, STAR)
}


def asset(code: str) -> Asset:
    """The declared asset of that code; KeyError names an undeclared one."""
    try:
        return ASSETS[code]
    except KeyError:
        raise KeyError(f"{code!r} is not a declared asset: {', '.join(ASSETS)}") from None


# A Russian noun after 1, after 2 (and after a fraction), after 5.
_RUSSIAN_NOUNS: dict[str, tuple[str, str, str]] = {
    "CREDIT": ("кредит", "кредита", "кредитов"),
    "XTR": ("звезда", "звезды", "звёзд"),
    "STAR": ("звезда на балансе", "звезды на балансе", "звёзд на балансе"),
}
_RUSSIAN_MARKS = {ord(","): "\N{NO-BREAK SPACE}", ord("."): ","}


def _russian_form(count: int) -> int:
    """Which of the three: 1, 21 and 101 are alike, so are 2 to 4, and 11 to 14 are like 5."""
    if count % 10 == 1 and count % 100 != 11:
        return 0
    return 1 if 2 <= count % 10 <= 4 and not 12 <= count % 100 <= 14 else 2


@dataclass(frozen=True, slots=True)
class Money:
    """``amount_minor`` smallest units of ``asset``; amounts of different assets never mix."""

    amount_minor: int
    asset: Asset

    def __add__(self, other: Money) -> Money:
        return Money(self.amount_minor + self._same(other), self.asset)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount_minor - self._same(other), self.asset)

    def __neg__(self) -> Money:
        return Money(-self.amount_minor, self.asset)

    def __lt__(self, other: Money) -> bool:
        return self.amount_minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount_minor <= self._same(other)

    def __bool__(self) -> bool:
        return self.amount_minor != 0

    def __str__(self) -> str:
        """As the active language writes it: ``$1,250.00``, in Russian ``1 250,00 $``."""
        if get_language() == "ru":
            return self._in_russian()
        sign = "-" if self.amount_minor < 0 else ""
        return f"{sign}{self.asset.prefix}{self.plain(grouped=True)}{self.asset.suffix}"

    def plain(self, *, grouped: bool = False) -> str:
        """The magnitude as English and machines have it: no sign, symbol, idle zeros of credits."""
        whole, part = divmod(abs(self.amount_minor), self.asset.unit_minor)
        text = f"{whole:,}" if grouped else str(whole)
        decimals = f"{part:0{self.asset.exponent}d}" if self.asset.exponent else ""
        if self.asset.exponent > 2:
            decimals = decimals.rstrip("0")
        return f"{text}.{decimals}" if decimals else text

    def _in_russian(self) -> str:
        """Symbol and noun come last, nothing breaks the line, and a noun agrees with its number."""
        sign = "\N{MINUS SIGN}" if self.amount_minor < 0 else ""
        number = self.plain(grouped=True).translate(_RUSSIAN_MARKS)
        forms = _RUSSIAN_NOUNS.get(self.asset.code)
        if forms is None:
            unit = (self.asset.prefix or self.asset.suffix).strip()
        else:
            whole, part = divmod(abs(self.amount_minor), self.asset.unit_minor)
            unit = forms[1] if part else forms[_russian_form(whole)]
        return f"{sign}{number}\N{NO-BREAK SPACE}{unit}"

    def _same(self, other: Money) -> int:
        if other.asset != self.asset:
            raise ValueError(f"{self.asset} and {other.asset} do not mix")
        return other.amount_minor


def share_half_even(amount_minor: int, part: int, whole: int) -> int:
    """``amount_minor × part / whole``, rounded half to even: the portal's one rounding point.

    Half-even is what keeps many small roundings from drifting to one side.
    """
    quotient, remainder = divmod(amount_minor * part, whole)
    twice = 2 * remainder
    if twice > whole or (twice == whole and quotient % 2 == 1):
        return quotient + 1
    return quotient


def share_floor(amount_minor: int, part: int, whole: int) -> int:
    """``amount_minor × part / whole``, rounded down: never more than was earned or paid."""
    return amount_minor * part // whole
