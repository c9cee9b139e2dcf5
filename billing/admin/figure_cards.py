"""What each figure is in a range of days: its values, a note, and the charts that go with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from django.contrib.auth.models import AnonymousUser
from django.db.models import Min

from accounts.models import User
from billing.admin.figure_cells import percent
from billing.admin.figure_charts import Chart, mrr_chart, revenue_chart, takings_chart
from billing.admin.figures import FIGURES, Figure
from billing.models import EventState, InboundEvent
from billing.money import Asset, Money
from billing.selectors import liability, mrr, revenue, takings
from billing.selectors.mrr import Movement, Recurring
from billing.selectors.revenue import Revenue
from billing.selectors.spans import Span
from billing.selectors.takings import Part, Takings
from common import clock

_PARTS = {
    Part.RECEIVED: "billing.view_payment",
    Part.REFUNDED: "billing.view_refund",
    Part.DISPUTED: "billing.view_dispute",
    Part.FAILED: "billing.view_order",
    Part.FAILING: "billing.view_subscription",
}


class Reading:
    """Everything about a range, each group read in one query when it is first asked for."""

    def __init__(
        self, span: Span, viewer: User | AnonymousUser, *, oldest_event: datetime | None = None
    ) -> None:
        self.span = span
        self._viewer = viewer
        self._oldest_event = oldest_event

    @cached_property
    def revenue(self) -> Revenue:
        """What was earned."""
        return revenue.revenue(self.span)

    @cached_property
    def takings(self) -> Takings:
        """What came in and went back, as far as the viewer may see it."""
        parts = [part for part, right in _PARTS.items() if self._viewer.has_perm(right)]
        return takings.takings(self.span, parts)

    @cached_property
    def recurring(self) -> Recurring:
        """What subscriptions are worth."""
        return mrr.recurring(self.span)

    @cached_property
    def owed(self) -> liability.Liability:
        """What customers hold, as of now."""
        return liability.liability()

    @cached_property
    def oldest_event(self) -> datetime | None:
        """Since when the oldest event waits."""
        if self._oldest_event is not None:
            return self._oldest_event
        waiting = InboundEvent.objects.filter(state__in=[EventState.NEW, EventState.FAILED])
        oldest: datetime | None = waiting.aggregate(at=Min("received_at"))["at"]
        return oldest


@dataclass(frozen=True, slots=True)
class Value:
    """What a figure comes to: the first of its values, the others, and a remark."""

    values: Sequence[str]
    note: str = ""
    is_bad: bool = False

    @property
    def main(self) -> str:
        """The value that is read first."""
        return self.values[0]

    @property
    def others(self) -> Sequence[str]:
        """The same in other assets."""
        return self.values[1:]


@dataclass(frozen=True, slots=True)
class Card:
    """A figure and what it comes to."""

    figure: Figure
    value: Value


def card(figure: Figure, reading: Reading) -> Card:
    """A figure as of a reading."""
    return Card(figure, _VALUES[figure.slug](reading))


def cards(reading: Reading, viewer: User | AnonymousUser) -> list[Card]:
    """Every figure the viewer may see."""
    return [card(figure, reading) for figure in FIGURES.values() if figure.may_be_seen_by(viewer)]


def charts(slug: str, reading: Reading) -> list[Chart]:
    """The charts of a figure, one for each asset it is about."""
    span = reading.span
    match slug:
        case "revenue":
            return [revenue_chart(reading.revenue, unit) for unit in reading.revenue.assets]
        case "mrr" | "movements" | "arpu":
            return [mrr_chart(span, one) for one in reading.recurring.assets]
        case "received" | "refunds":
            found = reading.takings
            return [takings_chart(found, unit) for unit in _taken(found)]
        case _:
            return []


def _revenue(reading: Reading) -> Value:
    found = reading.revenue
    return _amounts([found.total(unit) for unit in found.assets])


def _received(reading: Reading) -> Value:
    found = reading.takings
    sums = [found.total(Part.RECEIVED, unit) for unit in found.assets(Part.RECEIVED)]
    if not sums:
        return Value(["None"])
    averages = ", ".join(f"{one.average}" for one in sums)
    note = f"{found.count(Part.RECEIVED):,}, on average {averages}"
    return _amounts([one.amount for one in sums], note)


def _refunds(reading: Reading) -> Value:
    found = reading.takings
    rates = [_rate(found.refund_rate(unit), unit, _taken(found)) for unit in _taken(found)]
    amounts = [str(found.total(Part.REFUNDED, unit).amount) for unit in found.assets(Part.REFUNDED)]
    return Value(rates or ["—"], f"{', '.join(amounts)} refunded" if amounts else "none refunded")


def _disputes(reading: Reading) -> Value:
    found = reading.takings
    units = found.assets(Part.RECEIVED, Part.DISPUTED)
    rates = [_rate(found.dispute_rate(unit), unit, units) for unit in units]
    count = found.count(Part.DISPUTED)
    return Value(rates or ["—"], f"{count} opened" if count else "none opened")


def _mrr(reading: Reading) -> Value:
    known = reading.recurring.assets
    ends = [one.end for one in known if one.end_minor]
    changes = [one.end - one.start for one in known if one.end_minor != one.start_minor]
    note = ", ".join(_signed(change) for change in changes)
    return _amounts(ends, f"{note} in the range" if note else "unchanged in the range")


def _movements(reading: Reading) -> Value:
    """The customers that moved, by what they did; amounts are in the table."""
    found = reading.recurring
    counts = {move: sum(one.customers[move] for one in found.assets) for move in Movement}
    told = [f"{count} {move}" for move, count in counts.items() if count]
    return Value([str(sum(counts.values()))], ", ".join(told) or "nobody's changed")


def _subscribers(reading: Reading) -> Value:
    found = reading.recurring
    change = found.subscriber_count - found.subscriber_count_before
    trials = f", {found.trial_count} on trial" if found.trial_count else ""
    return Value([f"{found.subscriber_count:,}"], f"{change:+,} in the range{trials}")


def _arpu(reading: Reading) -> Value:
    known = [one for one in reading.recurring.assets if one.subscriber_count]
    return _amounts([one.arpu for one in known], "a month")


def _conversion(reading: Reading) -> Value:
    found = reading.recurring
    rate = found.converted_count / found.joined_count if found.joined_count else None
    return Value([percent(rate)], f"{found.converted_count} of {found.joined_count} who joined")


def _failing(reading: Reading) -> Value:
    found = reading.takings
    sums = [str(found.total(Part.FAILING, unit).amount) for unit in found.assets(Part.FAILING)]
    count = found.count(Part.FAILING)
    return Value([f"{count:,}"], f"{', '.join(sums)} a period" if sums else "", is_bad=bool(count))


def _failed(reading: Reading) -> Value:
    found = reading.takings
    sums = [str(found.total(Part.FAILED, unit).amount) for unit in found.assets(Part.FAILED)]
    return Value([f"{found.count(Part.FAILED):,}"], ", ".join(sums))


def _credits(reading: Reading) -> Value:
    held = reading.owed.held
    wallets = sum(one.wallet_count for one in held)
    given = ", ".join(str(one.promotional) for one in held if one.promotional)
    note = f"in {wallets:,} wallets" + (f", {given} given away" if given else "")
    return _amounts([one.total for one in held], note if held else "")


def _deferred(reading: Reading) -> Value:
    return _amounts(list(reading.owed.deferred), "not earned yet")


def _events(reading: Reading) -> Value:
    oldest = reading.oldest_event
    if oldest is None:
        return Value(["None"], "nothing waits")
    # Stamped by the database, which a sandbox's clock runs ahead of.
    waited = max(clock.now() - clock.ahead() - oldest, timedelta())
    return Value([_length(waited)], f"since {oldest:%Y-%m-%d %H:%M} UTC", is_bad=True)


def _taken(found: Takings) -> list[Asset]:
    return found.assets(Part.RECEIVED, Part.REFUNDED)


def _amounts(found: Sequence[Money], note: str = "") -> Value:
    return Value([str(amount) for amount in found] or ["None"], note if found else "")


def _rate(rate: float | None, unit: Asset, units: Sequence[Asset]) -> str:
    return percent(rate) if len(units) == 1 else f"{percent(rate)} in {unit}"


def _signed(amount: Money) -> str:
    return f"+{amount}" if amount.amount_minor > 0 else str(amount)


def _length(waited: timedelta) -> str:
    minutes = int(waited.total_seconds() // 60)
    hours, days = minutes // 60, waited.days
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


_VALUES: dict[str, Callable[[Reading], Value]] = {
    "revenue": _revenue,
    "received": _received,
    "refunds": _refunds,
    "disputes": _disputes,
    "mrr": _mrr,
    "movements": _movements,
    "subscribers": _subscribers,
    "arpu": _arpu,
    "conversion": _conversion,
    "failing": _failing,
    "failed": _failed,
    "credits": _credits,
    "deferred": _deferred,
    "events": _events,
}
