"""Bars for a chart that is drawn by the server: no script, no inline style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from billing.money import Money

HEIGHT = 100
STEP = 20
BAR_WIDTH = 14
# A day on which anything was spent shows at least this much.
LEAST = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """One day's bar in the chart's own coordinates."""

    on: date
    amount: Money
    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars side by side, as high as their share of the highest."""

    bars: Sequence[Bar]
    width: int
    highest: Money | None
    height: int = HEIGHT
    bar_width: int = BAR_WIDTH

    @property
    def last_on(self) -> date | None:
        """The day of the bar on the right."""
        return self.bars[-1].on if self.bars else None


def bars(days: Sequence[tuple[date, Money]]) -> Chart:
    """A bar for each day; ``highest`` is None when there is nothing to see."""
    top = max((amount.amount_minor for _, amount in days), default=0)
    drawn = []
    for place, (on, amount) in enumerate(days):
        share = amount.amount_minor * HEIGHT // top if top else 0
        height = max(share, LEAST) if amount else 0
        drawn.append(Bar(on, amount, x=place * STEP, y=HEIGHT - height, height=height))
    highest = Money(top, days[0][1].asset) if top else None
    return Chart(drawn, width=len(days) * STEP, highest=highest)
