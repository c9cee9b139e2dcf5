"""Charts of the staff home, drawn by the theme's own Chart.js from data in the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from billing.admin.figure_cells import wholes
from billing.money import Asset, Money
from billing.selectors.mrr import Mrr
from billing.selectors.revenue import Revenue
from billing.selectors.spans import Span, Step
from billing.selectors.takings import Part, Takings

# Told apart by everybody, on light and on dark.
COLOURS = ("#2563eb", "#d97706", "#059669", "#9333ea", "#db2777", "#0891b2", "#64748b")
OTHERS = "the rest"
_GREY = "#737b88"


@dataclass(frozen=True, slots=True)
class Chart:
    """One asset over the steps of a range, as a ``line`` or ``bar``s, and the same as a table."""

    title: str
    kind: str
    labels: Sequence[str]
    lines: Mapping[str, Sequence[int]]
    unit: Asset

    @property
    def data(self) -> str:
        """What Chart.js draws."""
        sets = [
            {
                "label": name,
                "data": wholes(line, self.unit),
                "backgroundColor": colour,
                "borderColor": colour,
                "borderWidth": 2 if self.kind == "line" else 0,
                "pointRadius": 0 if len(self.labels) > 1 else 4,
                "maxBarThickness": 40,
            }
            for (name, line), colour in zip(self.lines.items(), COLOURS, strict=False)
        ]
        return json.dumps({"labels": list(self.labels), "datasets": sets})

    @property
    def options(self) -> str:
        """How Chart.js draws it."""
        ticks = {"color": _GREY, "maxTicksLimit": 8, "maxRotation": 0}
        axes = {
            "x": {"stacked": True, "ticks": ticks, "grid": {"display": False}},
            "y": {
                "stacked": self.kind == "bar",
                "beginAtZero": True,
                "ticks": {**ticks, "maxTicksLimit": 5},
                "border": {"display": False},
                "grid": {"drawTicks": False},
            },
        }
        shape: dict[str, Any] = {
            "animation": False,
            "responsive": True,
            "maintainAspectRatio": False,
            "interaction": {"mode": "index", "intersect": False},
            "plugins": {
                "legend": {
                    "display": len(self.lines) > 1,
                    "position": "bottom",
                    "labels": {"color": _GREY, "boxWidth": 10, "boxHeight": 10},
                }
            },
            "scales": axes,
        }
        return json.dumps(shape)

    @property
    def columns(self) -> list[str]:
        """The heading of its table."""
        return ["", *self.lines]

    @property
    def rows(self) -> list[list[str]]:
        """Its table, as exact as amounts are."""
        return [
            [label, *(str(Money(line[place], self.unit)) for line in self.lines.values())]
            for place, label in enumerate(self.labels)
        ]


def revenue_chart(revenue: Revenue, unit: Asset) -> Chart:
    """What was earned step by step, by product; the smallest ones together."""
    lines = revenue.series(unit)
    kept = list(lines)[: len(COLOURS) - (len(lines) > len(COLOURS))]
    shown = {name: lines[name] for name in kept}
    rest = [line for name, line in lines.items() if name not in shown]
    if rest:
        shown[OTHERS] = [sum(parts) for parts in zip(*rest, strict=True)]
    return Chart(f"Revenue in {unit}", "bar", labels(revenue.span), shown, unit)


def mrr_chart(span: Span, one: Mrr) -> Chart:
    """MRR at the end of each step."""
    return Chart(f"MRR in {one.unit}", "line", labels(span), {"MRR": one.series}, one.unit)


def takings_chart(takings: Takings, unit: Asset) -> Chart:
    """Payments and refunds step by step; the two are not added up."""
    lines = {"received": takings.series(Part.RECEIVED, unit)}
    refunded = takings.series(Part.REFUNDED, unit)
    if any(refunded):
        lines["refunded"] = [-minor for minor in refunded]
    return Chart(f"Received in {unit}", "bar", labels(takings.span), lines, unit)


def labels(span: Span) -> list[str]:
    """What the steps of a range are called."""
    return [_label(span, day) for day in span.steps()]


def _label(span: Span, day: date) -> str:
    if span.step == Step.MONTH:
        return f"{day:%b %Y}"
    day = max(day, span.first)
    return f"{day.day} {day:%b}" if span.step == Step.DAY else f"{day.day} {day:%b %Y}"
