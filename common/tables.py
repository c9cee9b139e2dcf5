"""Tables to take away: CSV, a line at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.utils import translation

# What a spreadsheet would take for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The heading and each row as it is read, as CSV."""
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow(row)


def in_language(language: str, lines: Iterable[str]) -> Iterator[str]:
    """The lines, each made in that language: a table is sent when its request is answered."""
    rest = iter(lines)
    while True:
        with translation.override(language):
            line = next(rest, None)
        if line is None:
            return
        yield line


def harmless(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
