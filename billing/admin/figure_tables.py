"""Figures by parts, as tables: revenue by product and rail, MRR from one moment to another."""

from __future__ import annotations

from billing.admin.customer_money import Section
from billing.selectors.mrr import Movement, Recurring
from billing.selectors.revenue import Revenue


def breakdowns(found: Revenue) -> list[Section]:
    """Revenue by product and by way to pay, each asset in tables of its own."""
    return [
        Section(f"Revenue in {unit} {name}", [column, "Earned"], list(sums.items()))
        for unit in found.assets
        for name, column, sums in (
            ("by product", "Product", found.by_product(unit)),
            ("by way to pay", "Way to pay", found.by_rail(unit)),
        )
    ]


def movements(found: Recurring) -> list[Section]:
    """How MRR came from the beginning to the end of the range: a column for each asset."""
    known = [one for one in found.assets if one.start_minor or one.end_minor]
    if not known:
        return []
    lines = [["At the beginning", *(str(one.start) for one in known)]]
    for move in Movement:
        told = [f"{one.moved(move)} ({one.customers[move]})" for one in known]
        lines.append([move.value.capitalize(), *told])
    lines.append(["At the end", *(str(one.end) for one in known)])
    return [Section("MRR movements (customers)", ["", *(str(one.unit) for one in known)], lines)]
