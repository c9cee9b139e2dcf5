"""What is sold, as typed values; every price and amount can be overridden by the environment.

``load`` is pure: it takes the variables and returns the catalogue, or refuses a bad one by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from billing.money import CREDIT, USD, XTR, Asset, Money, share_floor
from common.errors import InvalidInput

BPS = 10_000


@dataclass(frozen=True, slots=True)
class CreditPack:
    """Credits for money. ``expires_days`` None: they do not expire."""

    slug: str
    name: str
    credits: Money
    prices: tuple[Money, ...]
    expires_days: int | None = None

    def price_in(self, asset: Asset) -> Money | None:
        """Its price in that asset, or None when it is not sold for it."""
        return next((price for price in self.prices if price.asset == asset), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything for sale here, and the rates that prices follow."""

    credit_packs: tuple[CreditPack, ...]
    credits_per_usd: int
    credits_per_star: int
    credits_expire_days: int | None
    custom_min: Money
    custom_max: Money
    creator_share_bps: int

    def credit_pack(self, slug: str) -> CreditPack:
        """The package of that name. Raises InvalidInput, naming those there are."""
        for pack in self.credit_packs:
            if pack.slug == slug:
                return pack
        known = ", ".join(pack.slug for pack in self.credit_packs)
        raise InvalidInput(
            "There is no such package.",
            code="unknown_package",
            fields={"package": [f"One of: {known}"]},
        )

    def custom_credit_pack(self, price: Money) -> CreditPack:
        """Credits for an amount of the buyer's choice. Raises InvalidInput outside the limits."""
        if price.asset != self.custom_min.asset or not self.custom_min <= price <= self.custom_max:
            raise InvalidInput(
                f"Choose an amount from {self.custom_min} to {self.custom_max}.",
                code="amount_out_of_range",
                fields={"amount_minor": [f"From {self.custom_min} to {self.custom_max}."]},
            )
        return self.credits_for(price, slug="custom")

    def credits_for(self, price: Money, *, slug: str) -> CreditPack:
        """What ``price`` buys at the catalogue rate, whatever the amount; needs ``has_rate``."""
        amount = Money(
            share_floor(
                price.amount_minor,
                self._rate(price.asset) * CREDIT.unit_minor,
                price.asset.unit_minor,
            ),
            CREDIT,
        )
        return CreditPack(slug, str(amount), amount, (price,), self.credits_expire_days)

    def has_rate(self, asset: Asset) -> bool:
        """Whether money of that asset has a price in credits."""
        return asset in (USD, XTR)

    def _rate(self, asset: Asset) -> int:
        return {USD: self.credits_per_usd, XTR: self.credits_per_star}[asset]


# slug, name, credits, price, and the variables' stem
_PACKS = (
    ("small", "Small credit pack", 2_500, Money(5_00, USD), "CREDITS_SMALL"),
    ("medium", "Medium credit pack", 5_000, Money(10_00, USD), "CREDITS_MEDIUM"),
    ("large", "Large credit pack", 25_000, Money(50_00, USD), "CREDITS_LARGE"),
    ("pkg_100", "100 credits", 100, Money(10, XTR), "CREDITS_PKG_100"),
    ("pkg_250", "250 credits", 250, Money(25, XTR), "CREDITS_PKG_250"),
    ("pkg_500", "500 credits", 500, Money(50, XTR), "CREDITS_PKG_500"),
    ("pkg_1000", "1,000 credits", 1_000, Money(100, XTR), "CREDITS_PKG_1000"),
)

VARIABLES: tuple[str, ...] = (
    "CREDITS_PER_USD",
    "STARS_TO_CREDITS_RATE",
    "CREDITS_EXPIRE_DAYS",
    "CREDITS_CUSTOM_MIN_PRICE",
    "CREDITS_CUSTOM_MAX_PRICE",
    "CREATOR_REVENUE_SHARE",
    *(f"{stem}_{what}" for *_, stem in _PACKS for what in ("PRICE", "AMOUNT")),
)


def load(variables: Mapping[str, str]) -> Catalogue:
    """Build the catalogue. Raises ImproperlyConfigured with one line that names a bad variable."""
    read = _Reader(variables)
    expires_days = read.whole("CREDITS_EXPIRE_DAYS", 0, low=0, high=36_500) or None
    packs = tuple(
        CreditPack(
            slug,
            name,
            Money(
                read.whole(f"{stem}_AMOUNT", whole, low=1, high=10**9) * CREDIT.unit_minor, CREDIT
            ),
            (read.price(f"{stem}_PRICE", price),),
            expires_days,
        )
        for slug, name, whole, price, stem in _PACKS
    )
    catalogue = Catalogue(
        credit_packs=packs,
        credits_per_usd=read.whole("CREDITS_PER_USD", 500, low=1, high=10**6),
        credits_per_star=read.whole("STARS_TO_CREDITS_RATE", 10, low=1, high=10**6),
        credits_expire_days=expires_days,
        custom_min=read.price("CREDITS_CUSTOM_MIN_PRICE", Money(1_00, USD)),
        custom_max=read.price("CREDITS_CUSTOM_MAX_PRICE", Money(1000_00, USD)),
        creator_share_bps=read.share_bps("CREATOR_REVENUE_SHARE", "0.90"),
    )
    if not catalogue.custom_min <= catalogue.custom_max:
        raise ImproperlyConfigured("CREDITS_CUSTOM_MAX_PRICE: is below CREDITS_CUSTOM_MIN_PRICE")
    return catalogue


def current() -> Catalogue:
    """The catalogue of this deployment; settings loaded it from the environment."""
    catalogue: Catalogue = settings.CATALOGUE
    return catalogue


class _Reader:
    """Typed reading of single variables; refuses by name."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        text = self._text(name, str(default))
        try:
            number = int(text)
        except ValueError:
            raise ImproperlyConfigured(f"{name}: {text!r} is not a whole number") from None
        if not low <= number <= high:
            raise ImproperlyConfigured(f"{name}: {number} must be from {low} to {high}")
        return number

    def price(self, name: str, default: Money) -> Money:
        """A positive price as a person writes it, e.g. 29.99, in the default's asset."""
        number = self._decimal(name, default.plain())
        minor = number * default.asset.unit_minor
        if minor != minor.to_integral_value() or not 0 < minor <= 10**12:
            raise ImproperlyConfigured(
                f"{name}: {number} is not a positive price in {default.asset}"
                f" with at most {default.asset.exponent} decimals"
            )
        return Money(int(minor), default.asset)

    def share_bps(self, name: str, default: str) -> int:
        """A share from 0 to 1, e.g. 0.90, in basis points."""
        number = self._decimal(name, default) * BPS
        if number != number.to_integral_value() or not 0 <= number <= BPS:
            raise ImproperlyConfigured(f"{name}: must be a share from 0 to 1, like 0.90")
        return int(number)

    def _decimal(self, name: str, default: str) -> Decimal:
        text = self._text(name, default)
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ImproperlyConfigured(f"{name}: {text!r} is not a number") from None
        if not number.is_finite():
            raise ImproperlyConfigured(f"{name}: {text!r} is not a number")
        return number

    def _text(self, name: str, default: str) -> str:
        return self._variables.get(name, "").strip() or default
