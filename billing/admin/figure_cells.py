"""Rows behind a figure: links on a page, plain text in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html

from billing.money import Asset, Money
from common.tables import harmless

Cell = Any
Row = Sequence[Cell]
ASSET_COLUMN = "Asset"


@dataclass(frozen=True, slots=True)
class Ref:
    """A row of the admin: what it is called, and where it is."""

    model: type[Model]
    pk: object
    text: str

    @property
    def url(self) -> str:
        """Its page in the admin."""
        name = f"{self.model._meta.app_label}_{self.model._meta.model_name}"
        return reverse(f"admin:{name}_change", args=[self.pk])


def shown(rows: Iterable[Row]) -> Iterator[list[Cell]]:
    """Rows as a page shows them."""
    for row in rows:
        yield [_shown(cell) for cell in row]


def written(rows: Iterable[Row]) -> Iterator[list[Cell]]:
    """Rows as a file holds them: amounts as plain numbers, their asset in a column at the end."""
    for row in rows:
        cells = [_written(cell) for cell in row]
        unit = next((cell.asset for cell in row if isinstance(cell, Money)), None)
        yield cells if unit is None else [*cells, unit.code]


def plain(amount: Money) -> str:
    """An amount as a plain number, with its sign."""
    return ("-" if amount.amount_minor < 0 else "") + amount.plain()


def percent(rate: float | None) -> str:
    """A share as people say it; a dash where there is nothing to share."""
    return "—" if rate is None else f"{rate * 100:.1f} %"


def whole(amount: Money) -> float:
    """An amount in whole units, for drawing only."""
    return amount.amount_minor / amount.asset.unit_minor


def wholes(amounts_minor: Iterable[int], unit: Asset) -> list[float]:
    """Amounts in whole units, for drawing only."""
    return [whole(Money(minor, unit)) for minor in amounts_minor]


def _shown(cell: Cell) -> Cell:
    match cell:
        case Ref():
            return format_html('<a class="text-link" href="{}">{}</a>', cell.url, cell.text)
        case Money():
            return format_html('<span class="whitespace-nowrap">{}</span>', cell)
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M} UTC"
        case None:
            return "—"
        case _:
            return cell


def _written(cell: Cell) -> Cell:
    match cell:
        case Ref():
            return harmless(cell.text)
        case Money():
            return plain(cell)
        case datetime():
            return cell.isoformat(timespec="seconds")
        case str():
            return harmless(cell)
        case None:
            return ""
        case _:
            return cell
