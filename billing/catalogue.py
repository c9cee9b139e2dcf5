"""What is sold, as typed values; every price and amount can be overridden by the environment.

``load`` is pure: it takes the variables and returns the catalogue, or refuses a bad one by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from billing import plans
from billing.money import CREDIT, USD, XTR, Asset, Money, share_floor, share_half_even
from billing.plans import Interval, Offer, Plan
from billing.variables import Reader
from common.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class CreditPack:
    """Credits for money. ``expires_days`` None: they do not expire.

    ``name`` is what an order of it is called, whoever reads it.
    """

    slug: str
    name: str
    credits: Money
    prices: tuple[Money, ...]
    expires_days: int | None = None

    @property
    def title(self) -> str:
        """The name in the active language; an amount is written as amounts are."""
        return _(self.name) if self.name.endswith("pack") else str(self.credits)

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
    plans: tuple[Plan, ...] = ()
    # A failed renewal keeps its access this long; its owner is reminded on these days.
    dunning_grace_days: int = 7
    dunning_remind_days: tuple[int, ...] = (0, 3, 6)

    @property
    def free_plan(self) -> Plan:
        """What everybody has who has nothing else."""
        return self.plans[0]

    def plan(self, slug: str) -> Plan:
        """The plan of that name. Raises InvalidInput, naming those there are."""
        for plan in self.plans:
            if plan.slug == slug:
                return plan
        known = ", ".join(plan.slug for plan in self.plans)
        raise InvalidInput(
            _("There is no such plan."),
            code="unknown_plan",
            fields={"plan": [_("One of: %(names)s") % {"names": known}]},
        )

    def has_plan(self, slug: str) -> bool:
        """Whether there is a plan of that name today."""
        return any(plan.slug == slug for plan in self.plans)

    def offer(self, slug: str, interval: str, asset: Asset) -> Offer:
        """A plan at its price per interval, in that asset; credits pay what dollars would buy.

        Raises InvalidInput when there is no such plan, or it is not sold like that.
        """
        plan = self.plan(slug)
        price = plan.price_in(asset, interval)
        if price is None and asset == CREDIT:
            dollars = plan.price_in(USD, interval)
            price = self.credits_for(dollars, slug=slug).credits if dollars else None
        if price is None:
            raise InvalidInput(
                _("This plan is not sold that way."),
                code="not_sold_that_way",
                fields={"interval": [_("This plan is not sold for that interval or way to pay.")]},
            )
        return Offer(plan, Interval(interval), price)

    def offers(self, slug: str, asset: Asset) -> list[Offer]:
        """The intervals a plan is sold for in that asset, shortest first."""
        found = []
        for interval in Interval:
            try:
                found.append(self.offer(slug, interval, asset))
            except InvalidInput:
                continue
        return found

    def credit_pack(self, slug: str) -> CreditPack:
        """The package of that name. Raises InvalidInput, naming those there are."""
        for pack in self.credit_packs:
            if pack.slug == slug:
                return pack
        known = ", ".join(pack.slug for pack in self.credit_packs)
        raise InvalidInput(
            _("There is no such package."),
            code="unknown_package",
            fields={"package": [_("One of: %(names)s") % {"names": known}]},
        )

    def custom_credit_pack(self, price: Money) -> CreditPack:
        """Credits for an amount of the buyer's choice. Raises InvalidInput outside the limits."""
        if price.asset != self.custom_min.asset or not self.custom_min <= price <= self.custom_max:
            limits = {"least": self.custom_min, "most": self.custom_max}
            raise InvalidInput(
                _("Choose an amount from %(least)s to %(most)s.") % limits,
                code="amount_out_of_range",
                fields={"amount_minor": [_("From %(least)s to %(most)s.") % limits]},
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
        with translation.override(settings.LANGUAGE_CODE):
            name = str(amount)
        return CreditPack(slug, name, amount, (price,), self.credits_expire_days)

    def worth(self, amount: Money) -> Money:
        """What so many credits cost at the catalogue rate, in dollars; to the nearest cent."""
        return Money(
            share_half_even(
                amount.amount_minor, USD.unit_minor, self._rate(USD) * CREDIT.unit_minor
            ),
            USD,
        )

    def has_rate(self, asset: Asset) -> bool:
        """Whether money of that asset has a price in credits."""
        return asset in (USD, XTR)

    def _rate(self, asset: Asset) -> int:
        return {USD: self.credits_per_usd, XTR: self.credits_per_star}[asset]


# slug, name, credits, price, and the variables' stem
_PACKS = (
    ("small", gettext_noop("Small credit pack"), 2_500, Money(5_00, USD), "CREDITS_SMALL"),
    ("medium", gettext_noop("Medium credit pack"), 5_000, Money(10_00, USD), "CREDITS_MEDIUM"),
    ("large", gettext_noop("Large credit pack"), 25_000, Money(50_00, USD), "CREDITS_LARGE"),
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
    "CATALOGUE",
    "DUNNING_GRACE_DAYS",
    "DUNNING_REMIND_DAYS",
    *plans.VARIABLES,
    *(f"{stem}_{what}" for *_, stem in _PACKS for what in ("PRICE", "AMOUNT")),
)


def load(variables: Mapping[str, str]) -> Catalogue:
    """Build the catalogue. Raises ImproperlyConfigured with one line that names a bad variable."""
    read = Reader(variables)
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
        plans=plans.load(read),
        dunning_grace_days=read.whole("DUNNING_GRACE_DAYS", 7, low=0, high=90),
        dunning_remind_days=read.days("DUNNING_REMIND_DAYS", "0,3,6", high=90),
    )
    if not catalogue.custom_min <= catalogue.custom_max:
        raise ImproperlyConfigured("CREDITS_CUSTOM_MAX_PRICE: is below CREDITS_CUSTOM_MIN_PRICE")
    return catalogue


def current() -> Catalogue:
    """The catalogue of this deployment; settings loaded it from the environment."""
    catalogue: Catalogue = settings.CATALOGUE
    return catalogue
