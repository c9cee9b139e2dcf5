"""Who does what on which day. Each story keeps to its own customer, so they go on side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from accounts.models import Customer
from billing.plans import Interval
from billing_project.demo.hands import BROKE_CARD, GOOD_CARD, Hands

DEMO_EMAIL = "demo@example.com"
MONTH, YEAR = Interval.MONTH, Interval.YEAR


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens: on which day, in a sentence (or unremarked), and what does it."""

    day: int
    says: str
    do: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Story:
    """A customer's month. ``needs`` are the plans it takes: without them it is not told."""

    name: str
    email: str
    tell: Callable[[Hands, Customer], Iterator[Act]]
    needs: tuple[tuple[str, Interval], ...] = ()


def acts(hands: Hands) -> list[Act]:
    """Everything that happens, in order; stories whose plans the catalogue lacks are left out."""
    told = [
        act
        for story in STORIES
        if all(hands.sells(*plan) for plan in story.needs)
        for act in story.tell(hands, hands.someone(story.name, story.email))
    ]
    return sorted(told, key=lambda act: act.day)


def _demo(hands: Hands, demo: Customer) -> Iterator[Act]:
    """Whom visitors log in as: a plan that renews, credits, and work that spends them."""
    subscribe = partial(hands.subscribe, demo, "premium", MONTH)
    yield Act(0, "Demo customer subscribes to Premium, per month", subscribe)
    buy = partial(hands.buy, demo, "medium")
    yield Act(1, "Demo customer buys 5,000 credits and uses some of them every day", buy)
    for day in range(2, 31):
        cost = 40 + day * 37 % 120
        work = partial(hands.use, demo, cost, of=cost + 60, what=f"job {day}")
        yield Act(day, "", work)


def _studio(hands: Hands, studio: Customer) -> Iterator[Act]:
    """Grows: an upgrade in the middle of the month, prorated."""
    subscribe = partial(hands.subscribe, studio, "premium", MONTH)
    yield Act(0, "Demo studio subscribes to Premium, per month", subscribe)
    upgrade = partial(hands.change_plan, studio, "enterprise", MONTH)
    yield Act(12, "Demo studio upgrades to Enterprise and pays the difference", upgrade)


def _team(hands: Hands, team: Customer) -> Iterator[Act]:
    """Shrinks: a downgrade that waits for the end of the period."""
    subscribe = partial(hands.subscribe, team, "premium", MONTH)
    yield Act(0, "Demo team subscribes to Premium, per month", subscribe)
    downgrade = partial(hands.change_plan, team, "basic", MONTH)
    yield Act(14, "Demo team chooses Basic from the next period on", downgrade)


def _agency(hands: Hands, agency: Customer) -> Iterator[Act]:
    """A year, cancelled and resumed; a part of a credit pack given back."""
    subscribe = partial(hands.subscribe, agency, "enterprise", YEAR)
    yield Act(0, "Demo agency subscribes to Enterprise, per year", subscribe)
    yield Act(5, "Demo agency buys 25,000 credits", partial(hands.buy, agency, "large"))
    refund = partial(hands.refund, agency, "large", 20_00, "fewer credits needed")
    yield Act(9, "Staff refunds $20.00 of them", refund)
    yield Act(18, "Demo agency cancels", partial(hands.cancel, agency))
    yield Act(20, "Demo agency resumes", partial(hands.resume, agency))


def _newcomer(hands: Hands, newcomer: Customer) -> Iterator[Act]:
    """A trial; the first charge fails, another card pays it."""
    if hands.has_trial("basic"):
        begin = partial(hands.subscribe, newcomer, "basic", MONTH, card=BROKE_CARD)
        yield Act(0, "Demo newcomer tries Basic, with a card that will not pay", begin)
    else:
        subscribe = partial(hands.subscribe, newcomer, "basic", MONTH)
        yield Act(0, "Demo newcomer subscribes to Basic, per month", subscribe)
    change = partial(hands.change_card, newcomer, GOOD_CARD)
    yield Act(9, "Demo newcomer gives another card", change)


def _late(hands: Hands, late: Customer) -> Iterator[Act]:
    """A renewal that fails: past due when the month is over."""
    subscribe = partial(hands.subscribe, late, "premium", MONTH)
    yield Act(0, "Demo late payer subscribes to Premium, per month", subscribe)
    change = partial(hands.change_card, late, BROKE_CARD)
    yield Act(25, "Demo late payer's account runs dry", change)


def _leaver(hands: Hands, leaver: Customer) -> Iterator[Act]:
    """Cancels for good."""
    subscribe = partial(hands.subscribe, leaver, "premium", MONTH)
    yield Act(0, "Demo leaver subscribes to Premium, per month", subscribe)
    yield Act(16, "Demo leaver cancels", partial(hands.cancel, leaver))


def _shop(hands: Hands, shop: Customer) -> Iterator[Act]:
    """Two payments disputed: one is won, one lost although some of its credits are spent."""
    yield Act(3, "Demo shop buys 5,000 credits", partial(hands.buy, shop, "medium"))
    work = partial(hands.use, shop, 4_000, of=4_500, what="import")
    yield Act(4, "Demo shop uses 4,000 credits", work)
    yield Act(5, "Demo shop buys 2,500 credits more", partial(hands.buy, shop, "small"))
    dispute = partial(hands.dispute, shop, "medium")
    yield Act(7, "The bank of Demo shop disputes the first payment", dispute)
    dispute = partial(hands.dispute, shop, "small")
    yield Act(8, "The bank of Demo shop disputes the second payment", dispute)
    decide = partial(hands.decide, shop, "medium", "won")
    yield Act(11, "The first dispute is won", decide)
    decide = partial(hands.decide, shop, "small", "lost")
    yield Act(13, "The second dispute is lost", decide)


def _pair(hands: Hands, pair: Customer) -> Iterator[Act]:
    """Pays on two devices at once: the second subscription is kept and flagged for staff."""
    twice = partial(hands.subscribe_twice, pair, "premium", MONTH)
    yield Act(27, "Demo pair subscribes to Premium on two devices at once", twice)


_PREMIUM, _ENTERPRISE, _BASIC = ("premium", MONTH), ("enterprise", MONTH), ("basic", MONTH)

STORIES = (
    Story("Demo customer", DEMO_EMAIL, _demo, (_PREMIUM,)),
    Story("Demo studio", "studio@example.com", _studio, (_PREMIUM, _ENTERPRISE)),
    Story("Demo team", "team@example.com", _team, (_PREMIUM, _BASIC)),
    Story("Demo agency", "agency@example.com", _agency, (("enterprise", YEAR),)),
    Story("Demo newcomer", "newcomer@example.com", _newcomer, (_BASIC,)),
    Story("Demo late payer", "late@example.com", _late, (_PREMIUM,)),
    Story("Demo leaver", "leaver@example.com", _leaver, (_PREMIUM,)),
    Story("Demo shop", "shop@example.com", _shop),
    Story("Demo pair", "pair@example.com", _pair, (_PREMIUM,)),
)
