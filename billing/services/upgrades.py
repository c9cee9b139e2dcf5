"""What somebody can do who reached a limit: what is in the way, and what each way out costs.

Only what really helps is offered, cheapest first. Nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from accounts.models import Customer, Membership
from billing import catalogue, selectors
from billing.errors import LimitReached
from billing.money import CREDIT, USD, Money
from billing.plans import FEATURE_NAMES, LENGTH_MONTHS, MONTHLY, Interval, Limit, Plan
from billing.selectors import Choice, Overview, PlanCard, SpendCap, SubscriptionRow
from billing.services import plan_menu, purchases, spend_caps
from billing.services.purchases import PackOffer

FEATURE = "feature:"
ONE_DOLLAR = Money(1_00, USD)


@dataclass(frozen=True, slots=True)
class PlanOption:
    """A plan that helps, what it gives of what was short, and the ways to get it."""

    card: PlanCard
    adds: str
    choices: Sequence[Choice]

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.card.plan

    @property
    def price(self) -> Choice | None:
        """The price to show."""
        return (*self.choices, *self.card.choices, None)[0]


@dataclass(frozen=True, slots=True)
class PackOption:
    """A package of credits; ``is_enough`` says whether it alone covers what is missing."""

    offer: PackOffer
    is_enough: bool
    # The smallest that does.
    is_first_enough: bool = False


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is in the way, what there is, and what helps; any of the ways out may be empty."""

    reason: str
    title: str
    sentence: str
    # What there is: names and amounts.
    facts: Sequence[tuple[str, str]] = ()
    resets_at: datetime | None = None
    plans: Sequence[PlanOption] = ()
    packs: Sequence[PackOption] = ()
    cap: SpendCap | None = None
    # Higher caps to choose from.
    caps: Sequence[Money] = ()
    # The subscription whose payment failed.
    failing: SubscriptionRow | None = None

    @property
    def wants_credits(self) -> bool:
        """Whether credits of any amount help."""
        return bool(self.packs) or self.reason in ("credits", "debt")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks, what they have, and, after a refusal, by how much it fell short."""

    customer: Customer
    have: Overview
    reason: str
    refusal: LimitReached | None = None
    # Of credits, in smallest units.
    need_minor: int = 0

    @property
    def plan(self) -> Plan:
        """The plan they have now."""
        sold, current = catalogue.current(), self.have.current
        if current is not None and sold.has_plan(current.subscription.plan_slug):
            return sold.plan(current.subscription.plan_slug)
        return sold.free_plan


def options(asked: Asked) -> Upgrade:
    """What is in the way for that reason and what helps; a general answer if it is unknown."""
    if asked.reason in Limit.values:
        return _limit(asked, Limit(asked.reason))
    if asked.reason.removeprefix(FEATURE) in FEATURE_NAMES and asked.reason.startswith(FEATURE):
        return _feature(asked, asked.reason.removeprefix(FEATURE))
    return _REASONS.get(asked.reason, _anything)(asked)


def owners(customer: Customer) -> list[str]:
    """Whom to ask who may not pay: the owners, by name. One query."""
    rows = Membership.objects.filter(customer=customer, role=Membership.Role.OWNER)
    return [row.user.get_full_name() for row in rows.select_related("user").order_by("pk")]


# -- one answer for each reason -------------------------------------------------------------------


def _credits(asked: Asked) -> Upgrade:
    have = selectors.balance(asked.customer)
    facts = [(_("You can spend"), str(have.spendable))]
    if have.held:
        facts.append((_("Held for work that runs"), str(have.held)))
    if asked.need_minor:
        facts.append((_("Missing"), str(Money(asked.need_minor, CREDIT))))
    return Upgrade(
        asked.reason,
        _("You need more credits"),
        _("There are not enough credits left for this. Nothing was taken."),
        facts,
        packs=_packs(asked.need_minor),
        plans=_plans_with_credits(asked),
    )


def _debt(asked: Asked) -> Upgrade:
    debt = selectors.balance(asked.customer).debt
    if not debt:
        return _credits(asked)
    return Upgrade(
        asked.reason,
        _("An earlier amount is still owed"),
        _("Nothing can be spent until it is paid. The next credits you buy pay it first."),
        [(_("Owed"), str(debt))],
        packs=_packs(debt.amount_minor),
    )


def _spend_cap(asked: Asked) -> Upgrade:
    cap = selectors.spend_cap(asked.customer)
    if cap.cap is None or cap.left is None:
        return Upgrade(
            asked.reason,
            _("There is no spend cap"),
            _("Nothing limits what is spent in a month here. You can set a cap."),
            cap=cap,
        )
    refused = asked.refusal is not None or asked.need_minor > 0 or cap.is_reached
    return Upgrade(
        asked.reason,
        _("Your monthly spend cap is reached") if refused else _("Your monthly spend cap"),
        _(
            "You set this cap yourself. More credits do not lift it: raise it, switch it off, or"
            " wait until it counts anew."
        ),
        [
            (_("Spend cap"), str(cap.cap)),
            (_("Used this month"), str(cap.used)),
            (_("Left"), str(cap.left)),
        ],
        resets_at=cap.resets_at,
        cap=cap,
        caps=_higher(cap.cap, cap.used, asked),
    )


def _payment_failed(asked: Asked) -> Upgrade:
    failing = _failing(asked.have)
    if failing is None:
        return Upgrade(
            asked.reason,
            _("No payment is due"),
            _("Every payment for your plan went through. There is nothing to do."),
        )
    return Upgrade(
        asked.reason,
        _("The payment for %(plan)s failed") % {"plan": failing.plan_name},
        failing.next.sentence,
        failing=failing,
    )


def _limit(asked: Asked, limit: Limit) -> Upgrade:
    have = selectors.entitlements(asked.customer)
    allowed = have.limit(limit)
    facts = [(_("Your plan"), have.plan.name), (str(limit.label), _amount(allowed))]
    used = asked.refusal.used if asked.refusal else None
    if used is not None:
        facts.append((_("Used"), number_format(used, force_grouping=True)))
    if allowed is None:
        sentence = _("Your plan does not limit this.")
        return Upgrade(asked.reason, _("There is no limit"), sentence, facts)
    added = allowed - (have.plan.limits.get(limit) or 0)
    found = []
    for card in plan_menu.cards(asked.have):
        amount = card.plan.limits.get(limit, 0)
        more = None if amount is None else amount + added
        if more is None or more > allowed:
            adds = _("%(amount)s instead of %(now)s") % {
                "amount": _amount(more),
                "now": _amount(allowed),
            }
            found.append((card, adds))
    plans = _cheapest_first(found, asked.have)
    return Upgrade(
        asked.reason,
        _("Your plan's limit: %(limit)s") % {"limit": limit.label},
        _("These plans have room for more.") if plans else _("No plan has room for more."),
        facts,
        resets_at=have.month_ends_at if limit in MONTHLY else None,
        plans=plans,
        failing=_failing(asked.have),
    )


def _feature(asked: Asked, feature: str) -> Upgrade:
    have = selectors.entitlements(asked.customer)
    name = str(FEATURE_NAMES[feature])
    facts = [(_("Your plan"), have.plan.name)]
    if have.allows(feature):
        sentence = _("Your plan has this already. There is nothing to do.")
        return Upgrade(asked.reason, name, sentence, facts)
    found = [
        (card, _("Has this: %(feature)s") % {"feature": name})
        for card in plan_menu.cards(asked.have)
        if feature in card.plan.features
    ]
    plans = _cheapest_first(found, asked.have)
    return Upgrade(
        asked.reason,
        _("Not in your plan: %(feature)s") % {"feature": name},
        _("These plans have it.") if plans else _("No plan that is sold here has it."),
        facts,
        plans=plans,
        failing=_failing(asked.have),
    )


def _role(asked: Asked) -> Upgrade:
    return Upgrade(
        asked.reason,
        _("Your role does not allow this"),
        _("Owners, and members whose role is Billing, may spend this customer's money."),
        [(_("You act for"), str(asked.customer))],
    )


def _anything(asked: Asked) -> Upgrade:
    better = [
        (card, "; ".join(selectors.gained(asked.plan, card.plan)[:2]))
        for card in plan_menu.cards(asked.have)
        if card.plan.rank > asked.plan.rank
    ]
    return Upgrade(
        asked.reason,
        _("Get more"),
        _("A better plan raises your limits; credits pay for what you use."),
        [
            (_("Your plan"), asked.plan.name),
            (_("You can spend"), str(selectors.credit_balance(asked.customer))),
        ],
        plans=_cheapest_first(better, asked.have),
        packs=_packs(0),
    )


_REASONS: dict[str, Callable[[Asked], Upgrade]] = {
    "credits": _credits,
    "debt": _debt,
    "spend_cap": _spend_cap,
    "payment_failed": _payment_failed,
    "role": _role,
}


# -- ways out -------------------------------------------------------------------------------------


def _packs(need_minor: int) -> list[PackOption]:
    """Packages of credits, smallest first."""
    offers = sorted(purchases.pack_offers(), key=lambda offer: offer.pack.credits.amount_minor)
    enough = [one for one in offers if one.pack.credits.amount_minor >= need_minor]
    return [PackOption(one, one in enough, one in enough[:1]) for one in offers]


def _plans_with_credits(asked: Asked) -> list[PlanOption]:
    """Plans that bring more credits with each period than the one there is."""
    found = [
        (card, _("%(credits)s with each period") % {"credits": card.plan.included_credits})
        for card in plan_menu.cards(asked.have)
        if card.plan.included_credits_minor > asked.plan.included_credits_minor
    ]
    return _cheapest_first(found, asked.have)


def _cheapest_first(found: Sequence[tuple[PlanCard, str]], have: Overview) -> list[PlanOption]:
    """Those that are sold here. One that cannot be had just now comes without a choice."""
    sold = [
        PlanOption(card, adds, _choices(card, have))
        for card, adds in found
        if card.choices and not card.is_current
    ]
    return sorted(sold, key=lambda option: _price_key(option.plan))


def _choices(card: PlanCard, have: Overview) -> list[Choice]:
    """Ways to get it now: for as long as the customer pays for today, else the shortest."""
    possible = [one for one in card.choices if one.is_bought or one.is_quoted]
    current = have.current
    usual = LENGTH_MONTHS[Interval(current.subscription.interval)] if current else 1
    same = [one for one in possible if LENGTH_MONTHS[one.offer.interval] == usual]
    return same or possible


def _price_key(plan: Plan) -> tuple[bool, int, int]:
    """By its price of a month in dollars; those without one last."""
    month, year = plan.price_in(USD, Interval.MONTH), plan.price_in(USD, Interval.YEAR)
    if month is None and year is not None:
        month = Money(year.amount_minor // LENGTH_MONTHS[Interval.YEAR], USD)
    return month is None, month.amount_minor if month else 0, plan.rank


def _higher(cap: Money, used: Money, asked: Asked) -> list[Money]:
    """Two caps that leave room for what was refused: a quarter more, and twice as much."""
    least = max(used.amount_minor, cap.amount_minor + asked.need_minor)
    if not least:
        least = catalogue.current().credits_for(ONE_DOLLAR, slug="cap").credits.amount_minor
    found = [_round_up(Money(amount, CREDIT)) for amount in (least * 5 // 4, least * 2)]
    return [one for one in found if one <= spend_caps.MAX_CAP]


def _round_up(amount: Money) -> Money:
    """To two figures that a person would choose, never down; whole credits."""
    whole = -(-amount.amount_minor // CREDIT.unit_minor)
    step = 10 ** max(0, len(str(whole)) - 2)
    return Money(-(-whole // step) * step * CREDIT.unit_minor, CREDIT)


def _failing(have: Overview) -> SubscriptionRow | None:
    return next((row for row in have.live if row.is_failing), None)


def _amount(amount: int | None) -> str:
    return _("unlimited") if amount is None else number_format(amount, force_grouping=True)
