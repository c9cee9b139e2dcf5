"""The plans that are sold here, as one customer sees them: prices, ways to pay, what each means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from django.db.models import TextChoices
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from billing import catalogue
from billing.models import Subscription
from billing.money import Asset, Money, share_floor
from billing.plans import FEATURE_NAMES, LENGTH_MONTHS, Interval, Limit, Offer, Plan
from billing.selectors.subscriptions import SubscriptionRow

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

MONTHS_A_YEAR = 12


class Way(Protocol):
    """A way to pay, as far as plans care."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> StrOrPromise: ...
    @property
    def assets(self) -> tuple[Asset, ...]: ...
    @property
    def renews(self) -> bool: ...


class Move(TextChoices):
    """What choosing an offer would mean for this customer."""

    SUBSCRIBE = "subscribe", gettext_lazy("Subscribe")
    CURRENT = "current", gettext_lazy("Your plan")
    PLANNED = "planned", gettext_lazy("Begins when the period ends")
    UPGRADE = "upgrade", gettext_lazy("Upgrade")
    DOWNGRADE = "downgrade", gettext_lazy("Downgrade")
    LONGER = "longer", gettext_lazy("Pay for longer")
    SHORTER = "shorter", gettext_lazy("Pay for shorter")
    EXTEND = "extend", gettext_lazy("Add more time")
    BLOCKED = "blocked", gettext_lazy("Not possible now")


# Moves that are made by paying an order; the others are quoted first.
BOUGHT = frozenset({Move.SUBSCRIBE, Move.EXTEND})
QUOTED = frozenset({Move.UPGRADE, Move.DOWNGRADE, Move.LONGER, Move.SHORTER})


@dataclass(frozen=True, slots=True)
class Choice:
    """A plan at its price for an interval, over one rail, and what choosing it would mean."""

    offer: Offer
    rail: str
    rail_title: str
    renews: bool
    move: Move
    # What a year saves against twelve months; None when it saves nothing or is no year.
    saving: Money | None

    @property
    def saving_percent(self) -> int:
        """The same as a whole percentage, rounded down."""
        if self.saving is None:
            return 0
        return share_floor(
            100, self.saving.amount_minor, (self.offer.price + self.saving).amount_minor
        )

    @property
    def is_bought(self) -> bool:
        """Whether an order is placed for it."""
        return self.move in BOUGHT

    @property
    def is_quoted(self) -> bool:
        """Whether what it costs now is shown first."""
        return self.move in QUOTED

    @property
    def per(self) -> str:
        """E.g. ``month``."""
        return str(self.offer.interval.label)

    @property
    def once(self) -> str:
        """One interval, e.g. ``one month``."""
        per = self.per
        return per if per[0].isdigit() else _("one %(interval)s") % {"interval": per}

    @property
    def change(self) -> str:
        """What to write on the button of a change."""
        if self.move in (Move.LONGER, Move.SHORTER):
            return _("Pay per %(interval)s") % {"interval": self.per}
        words = {"move": self.move.label, "plan": self.offer.plan.name}
        return _("%(move)s to %(plan)s") % words


@dataclass(frozen=True, slots=True)
class PlanCard:
    """A plan with what it allows and how it can be had."""

    plan: Plan
    is_current: bool
    choices: Sequence[Choice]
    trial_days: int

    @property
    def price(self) -> Choice | None:
        """The price to show large: the first there is."""
        return self.choices[0] if self.choices else None

    @property
    def limits(self) -> list[tuple[str, str]]:
        """Each limit's name and amount."""
        return limit_texts(self.plan.limits)

    @property
    def features(self) -> list[tuple[str, bool]]:
        """What it has, and what only better plans have."""
        has = self.plan.features
        return [
            (str(FEATURE_NAMES[name]), name in has)
            for name in _all_features()
            if name in has or not _is_outgrown(name, self.plan)
        ]

    @property
    def saving(self) -> Money | None:
        """The most that paying for a year saves, among its ways to pay."""
        return next((one.saving for one in self.choices if one.saving), None)


def plan_cards(
    ways: Sequence[Way], current: SubscriptionRow | None, *, may_try: bool, months: int | None
) -> list[PlanCard]:
    """Every plan, lowest first, with its offers for intervals of so many months (None: all).

    ``may_try``: whether a trial is still to be had.
    """
    return [
        PlanCard(
            plan=plan,
            is_current=_is_current(plan, current),
            choices=_choices(plan, ways, current, months),
            trial_days=plan.trial_days if may_try and any(way.renews for way in ways) else 0,
        )
        for plan in catalogue.current().plans
    ]


def sold_months(ways: Sequence[Way]) -> list[int]:
    """For how many months at a time plans are sold here, shortest first."""
    found = {
        LENGTH_MONTHS[offer.interval]
        for plan in catalogue.current().plans
        for _, offer in _offers(plan, ways)
    }
    return sorted(found)


def limit_texts(limits: Mapping[str, int | None]) -> list[tuple[str, str]]:
    """Each limit's name, and its amount as a person writes it."""
    return [(str(limit.label), _amount_text(limits[limit])) for limit in Limit]


def _amount_text(amount: int | None) -> str:
    return _("Unlimited") if amount is None else number_format(amount, force_grouping=True)


def comparison(
    cards: Sequence[PlanCard],
) -> tuple[list[tuple[str, list[str]]], list[tuple[str, list[bool]]]]:
    """The plans side by side: limits with their amounts, and features that any of them has."""
    columns = [card.limits for card in cards]
    limits = [(row[0][0], [amount for _name, amount in row]) for row in zip(*columns, strict=True)]
    features = [
        (str(FEATURE_NAMES[name]), [name in card.plan.features for card in cards])
        for name in _all_features()
    ]
    return limits, features


def lost(before: Plan, after: Plan) -> list[str]:
    """What somebody gives up by going from one plan to another: limits and features.

    A better plan may leave out a feature that it has outgrown; that is no loss.
    """
    limits = [
        _difference(limit, before, after)
        for limit in Limit
        if _is_less(after.limits[limit], before.limits[limit])
    ]
    features = [str(FEATURE_NAMES[name]) for name in before.features if name not in after.features]
    return limits if after.rank > before.rank else [*limits, *features]


def gained(before: Plan, after: Plan) -> list[str]:
    """What somebody gets by going from one plan to another: limits and features."""
    limits = [
        _difference(limit, before, after)
        for limit in Limit
        if _is_less(before.limits[limit], after.limits[limit])
    ]
    features = [str(FEATURE_NAMES[name]) for name in after.features if name not in before.features]
    return limits if after.rank < before.rank else [*limits, *features]


def _difference(limit: Limit, before: Plan, after: Plan) -> str:
    return _("%(limit)s: %(after)s instead of %(before)s") % {
        "limit": limit.label,
        "after": _amount(after, limit),
        "before": _amount(before, limit),
    }


def _amount(plan: Plan, limit: Limit) -> str:
    amount = plan.limits[limit]
    if amount is None:
        return pgettext("a limit", "unlimited")
    return number_format(amount, force_grouping=True)


def _is_less(after: int | None, before: int | None) -> bool:
    return after is not None and (before is None or after < before)


def _is_outgrown(name: str, plan: Plan) -> bool:
    """Whether a lesser plan has a feature that this one has something better for."""
    return any(name in one.features for one in catalogue.current().plans if one.rank < plan.rank)


def _all_features() -> list[str]:
    plans = catalogue.current().plans
    return [name for name in FEATURE_NAMES if any(name in plan.features for plan in plans)]


def _is_current(plan: Plan, current: SubscriptionRow | None) -> bool:
    if current is None:
        return plan.is_free
    return plan.slug == current.subscription.plan_slug


def _offers(plan: Plan, ways: Sequence[Way]) -> list[tuple[Way, Offer]]:
    if plan.is_free:
        return []
    sold = catalogue.current()
    return [
        (way, offer)
        for way in ways
        for unit in way.assets
        for offer in sold.offers(plan.slug, unit)
    ]


def _choices(
    plan: Plan, ways: Sequence[Way], current: SubscriptionRow | None, months: int | None
) -> list[Choice]:
    return [
        Choice(
            offer=offer,
            rail=way.name,
            rail_title=str(way.title),
            renews=way.renews,
            move=_move(offer, way, current),
            saving=_saving(offer),
        )
        for way, offer in _offers(plan, ways)
        if months in (None, LENGTH_MONTHS[offer.interval])
    ]


def _saving(offer: Offer) -> Money | None:
    """What a year costs less than twelve months of the same, paid in the same way."""
    if LENGTH_MONTHS[offer.interval] != MONTHS_A_YEAR:
        return None
    unit = offer.price.asset
    by_month = next(
        (
            one.price
            for one in catalogue.current().offers(offer.plan.slug, unit)
            if one.interval == Interval.MONTH
        ),
        None,
    )
    if by_month is None:
        return None
    saved = Money(MONTHS_A_YEAR * by_month.amount_minor, unit) - offer.price
    return saved if saved.amount_minor > 0 else None


def _move(offer: Offer, way: Way, current: SubscriptionRow | None) -> Move:
    if current is None:
        return Move.SUBSCRIBE
    row = current.subscription
    same = (offer.plan.slug, str(offer.interval)) == (row.plan_slug, row.interval)
    if way.name != row.rail or offer.price.asset != row.unit:
        return Move.BLOCKED
    if same:
        return Move.CURRENT if row.renews or way.renews else Move.EXTEND
    if not current.can_change:
        return Move.BLOCKED
    if (offer.plan.slug, str(offer.interval)) == (row.next_plan_slug, row.next_interval):
        return Move.PLANNED
    return _change(offer, row)


def _change(offer: Offer, row: Subscription) -> Move:
    sold = catalogue.current()
    rank = sold.plan(row.plan_slug).rank if sold.has_plan(row.plan_slug) else -1
    before, after = LENGTH_MONTHS[Interval(row.interval)], LENGTH_MONTHS[offer.interval]
    if not row.renews and (offer.plan.rank <= rank or str(offer.interval) != row.interval):
        return Move.BLOCKED
    if offer.plan.rank == rank:
        return Move.LONGER if after > before else Move.SHORTER
    return Move.UPGRADE if offer.plan.rank > rank else Move.DOWNGRADE
