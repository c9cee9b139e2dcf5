"""Subscription plans: what each allows and costs. The tables here are the default catalogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import TextChoices
from django.utils import translation
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from billing.money import CREDIT, USD, XTR, Asset, Money
from billing.variables import Reader

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class Interval(TextChoices):
    """How long one payment lasts, shortest first."""

    DAYS_30 = "30d", pgettext_lazy("per", "30 days")
    MONTH = "month", pgettext_lazy("per", "month")
    YEAR = "year", pgettext_lazy("per", "year")


# How intervals compare: a change to a longer one may begin now, one to a shorter one waits.
LENGTH_MONTHS = {Interval.DAYS_30: 1, Interval.MONTH: 1, Interval.YEAR: 12}


class Limit(TextChoices):
    """What a plan counts. Requests and tokens are per month of the anchor."""

    REQUESTS = "requests", _("Requests a month")
    TOKENS = "tokens", _("Tokens a month")
    PROJECTS = "projects", _("Projects")
    DEPLOYS = "deploys", _("Deployments")


# Limits that count anew with each month of the anchor.
MONTHLY = frozenset({Limit.REQUESTS, Limit.TOKENS})


@dataclass(frozen=True, slots=True)
class Plan:
    """A tier. ``rank`` orders them; a limit of None is unlimited."""

    slug: str
    name: str
    rank: int
    limits: Mapping[str, int | None]
    features: tuple[str, ...]
    prices: Mapping[Interval, tuple[Money, ...]]
    trial_days: int = 0
    included_credits_minor: int = 0

    @property
    def is_free(self) -> bool:
        """Whether it is what everybody has, and is never sold."""
        return not self.prices

    def price_in(self, asset: Asset, interval: str) -> Money | None:
        """Its price per interval in that asset, or None when it is not sold like that."""
        prices = self.prices.get(Interval(interval), ()) if interval in Interval else ()
        return next((price for price in prices if price.asset == asset), None)

    @property
    def included_credits(self) -> Money:
        """Credits that come with each period."""
        return Money(self.included_credits_minor, CREDIT)


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan at its price per interval, in one asset."""

    plan: Plan
    interval: Interval
    price: Money

    @property
    def name(self) -> str:
        """What an order of it is called, whoever reads it: ``Premium, per year``."""
        with translation.override(settings.LANGUAGE_CODE):
            return self.title

    @property
    def title(self) -> str:
        """The same in the active language."""
        return offer_title(self.plan.name, self.interval)


def offer_title(plan_name: str, interval: Interval) -> str:
    """A plan with how long one payment of it lasts, in the active language."""
    return gettext("%(plan)s, per %(interval)s") % {"plan": plan_name, "interval": interval.label}


def unused_title(plan_name: str) -> str:
    """What time that is given back is called, in the active language."""
    return gettext("Unused time of %(plan)s") % {"plan": plan_name}


def rest_title(plan_name: str) -> str:
    """What the rest of a period at a better plan is called, in the active language."""
    return gettext("The rest of the time as %(plan)s") % {"plan": plan_name}


def change_title(title: str) -> str:
    """What paying for the change to an offer is called, in the active language."""
    return gettext("Change to %(offer)s") % {"offer": title}


@dataclass(frozen=True, slots=True)
class _Default:
    slug: str
    name: str
    # requests, tokens, projects, deploys
    limits: tuple[int | None, int | None, int | None, int | None]
    features: tuple[str, ...]
    month: Money | None = None
    year: Money | None = None
    stars: Money | None = None


_FREE = _Default("free", "Free", (100, 10_000, 1, 1), ("basic_assistant", "limited_api"))
_BASIC = _Default(
    "basic",
    "Basic",
    (5_000, 500_000, 3, 3),
    ("basic_assistant", "limited_api", "priority_support", "custom_prompts", "analytics"),
    Money(29_99, USD),
    Money(299_99, USD),
    Money(1_500, XTR),
)
_PREMIUM_FEATURES = (
    "basic_assistant",
    "priority_support",
    "custom_prompts",
    "analytics",
    "advanced_analytics",
    "webhooks",
    "api_access",
)
_PREMIUM = _Default(
    "premium",
    "Premium",
    (50_000, 5_000_000, 5, 5),
    _PREMIUM_FEATURES,
    Money(99_99, USD),
    Money(999_99, USD),
    Money(5_000, XTR),
)
_ENTERPRISE = _Default(
    "enterprise",
    "Enterprise",
    (None, None, None, None),
    (*_PREMIUM_FEATURES, "dedicated_support", "custom_integration", "sla"),
    Money(499_99, USD),
    Money(4_999_99, USD),
)
_STUDIO_PREMIUM = _Default(
    "premium", "Premium", (50_000, 5_000_000, 5, 5), _PREMIUM_FEATURES, Money(5_00, USD)
)

CATALOGUES: dict[str, tuple[_Default, ...]] = {
    "standard": (_FREE, _BASIC, _PREMIUM, _ENTERPRISE),
    "studio": (_FREE, _STUDIO_PREMIUM),
}
_ALL = (_FREE, _BASIC, _PREMIUM, _ENTERPRISE)
_SOLD = (_BASIC, _PREMIUM, _ENTERPRISE)

FEATURE_NAMES: Mapping[str, StrOrPromise] = MappingProxyType(
    {
        "basic_assistant": _("Assistant"),
        "limited_api": _("Limited API"),
        "priority_support": _("Priority support"),
        "custom_prompts": _("Custom prompts"),
        "analytics": _("Analytics"),
        "advanced_analytics": _("Advanced analytics"),
        "webhooks": _("Webhooks"),
        "api_access": _("API access"),
        "dedicated_support": _("Dedicated support"),
        "custom_integration": _("Custom integration"),
        "sla": _("SLA"),
    }
)

VARIABLES: tuple[str, ...] = (
    *(f"{one.slug.upper()}_MAX_{limit.upper()}" for one in _ALL for limit in Limit),
    *(
        f"{one.slug.upper()}_{what}"
        for one in _SOLD
        for what in (
            "SUBSCRIPTION_PRICE",
            "SUBSCRIPTION_YEARLY_PRICE",
            "SUBSCRIPTION_STARS",
            "TRIAL_DAYS",
            "INCLUDED_CREDITS",
        )
    ),
)


def load(read: Reader) -> tuple[Plan, ...]:
    """The plans of ``CATALOGUE``, lowest first, with what the environment overrides."""
    chosen = CATALOGUES[read.choice("CATALOGUE", tuple(CATALOGUES), "standard")]
    return tuple(_plan(read, default, rank) for rank, default in enumerate(chosen))


def _plan(read: Reader, default: _Default, rank: int) -> Plan:
    stem = default.slug.upper()
    limits = {
        str(limit): read.limit(f"{stem}_MAX_{limit.upper()}", amount)
        for limit, amount in zip(Limit, default.limits, strict=True)
    }
    if default.slug == _FREE.slug:
        return Plan(default.slug, default.name, rank, limits, default.features, {})
    prices = _prices(read, default)
    included = read.whole(f"{stem}_INCLUDED_CREDITS", 0, low=0, high=10**9)
    return Plan(
        default.slug,
        default.name,
        rank,
        limits,
        default.features,
        prices,
        trial_days=read.whole(f"{stem}_TRIAL_DAYS", 0, low=0, high=730),
        included_credits_minor=included * CREDIT.unit_minor,
    )


def _prices(read: Reader, default: _Default) -> dict[Interval, tuple[Money, ...]]:
    """A price that has no default is sold once its variable is set."""
    named = {
        Interval.MONTH: ("SUBSCRIPTION_PRICE", default.month, USD),
        Interval.YEAR: ("SUBSCRIPTION_YEARLY_PRICE", default.year, USD),
        Interval.DAYS_30: ("SUBSCRIPTION_STARS", default.stars, XTR),
    }
    prices: dict[Interval, tuple[Money, ...]] = {}
    for interval, (name, price, unit) in named.items():
        found = read.optional_price(f"{default.slug.upper()}_{name}", price, unit)
        if found is not None:
            prices[interval] = (found,)
    return prices
