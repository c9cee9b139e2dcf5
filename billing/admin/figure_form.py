"""The range of days that figures are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from billing.selectors import spans
from billing.selectors.spans import Span
from common import clock

FIRST, LAST = "from", "to"


class DayInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """The browser's own calendar."""

    input_type = "date"


class RangeForm(forms.Form):
    """Whole days in UTC, ``from`` and ``to``; what is left out is the usual length, or today."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        for name, label in ((FIRST, "From"), (LAST, "To")):
            self.fields[name] = forms.DateField(
                required=False, label=label, widget=DayInput(attrs={"class": "w-full"})
            )

    def clean(self) -> dict[str, Any]:
        """Days that there can be figures of, in their order, not too many."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            for name, wrong in spans.why_not(cleaned[FIRST], cleaned[LAST]).items():
                self.add_error(name, wrong)
        return cleaned

    @property
    def span(self) -> Span:
        """The days of a valid form."""
        return spans.of_days(self.cleaned_data[FIRST], self.cleaned_data[LAST])


@dataclass(frozen=True, slots=True)
class Preset:
    """A range that is often wanted."""

    title: str
    query: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What range a request asks for: a span, or a form that says what is wrong."""

    form: RangeForm
    span: Span | None

    @property
    def query(self) -> str:
        """The range as it goes into addresses."""
        return "" if self.span is None else query_of(self.span)

    def presets(self) -> list[Preset]:
        """Ranges to jump to."""
        today = clock.now().date()
        month = today.replace(day=1)
        last_month = month - timedelta(days=1)
        named = (
            ("7 days", Span.usual(7)),
            ("30 days", Span.usual(30)),
            ("90 days", Span.usual(90)),
            ("This month", Span(month, today)),
            ("Last month", Span(last_month.replace(day=1), last_month)),
            ("12 months", Span(_year_before(today), today)),
        )
        return [Preset(title, query_of(span), span == self.span) for title, span in named]


def asked(request: HttpRequest) -> Asked:
    """The range in the address, shown in the form's fields; the usual one without any."""
    given = {name: request.GET.get(name, "") for name in (FIRST, LAST)}
    form = RangeForm(given)
    if not form.is_valid():
        return Asked(form, None)
    span = form.span
    filled = RangeForm({FIRST: span.first.isoformat(), LAST: span.last.isoformat()})
    return Asked(filled, span)


def query_of(span: Span) -> str:
    """A range as it goes into addresses."""
    return f"{FIRST}={span.first}&{LAST}={span.last}"


def _year_before(today: date) -> date:
    leap = today.month == 2 and today.day == 29
    return today.replace(year=today.year - 1, day=28 if leap else today.day) + timedelta(days=1)
