"""Pages of the figures: what each means, its rows, and the rows as a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from billing.admin import figure_cards
from billing.admin.customer_money import Section
from billing.admin.figure_cards import Reading
from billing.admin.figure_cells import ASSET_COLUMN, shown, written
from billing.admin.figure_form import Asked, asked
from billing.admin.figure_tables import breakdowns, movements
from billing.admin.figures import FIGURES, Figure
from billing.selectors.spans import Span
from common.tables import csv_lines

SHOWN = 50

View = Callable[..., HttpResponse]


def _of_figure(view: View) -> View:
    """For staff who may see the figure that the address names."""

    @require_safe
    @wraps(view)
    def guarded(request: HttpRequest, slug: str) -> HttpResponse:
        figure = FIGURES.get(slug)
        if figure is None:
            raise Http404
        if not figure.may_be_seen_by(request.user):
            raise PermissionDenied
        return view(request, figure)

    return cast("View", admin.site.admin_view(guarded))


@require_safe
def _definitions(request: HttpRequest) -> HttpResponse:
    """What every figure means; the numbers themselves need their rights."""
    visible = {slug for slug, one in FIGURES.items() if one.may_be_seen_by(request.user)}
    context = {"figures": FIGURES.values(), "visible": visible, "title": "What the figures mean"}
    return _page(request, "admin/figures/definitions.html", context)


definitions = admin.site.admin_view(_definitions)


@_of_figure
def figure(request: HttpRequest, figure: Figure) -> HttpResponse:
    """One figure: what it comes to, what it means, and what it is made of."""
    return _figure_page(request, figure, _range(request, figure))


@_of_figure
def figure_csv(request: HttpRequest, figure: Figure) -> HttpResponse:
    """All rows of a figure as CSV, sent as they are read."""
    range_ = _range(request, figure)
    if range_.span is None:
        return _figure_page(request, figure, range_)
    columns = [*figure.columns, *([ASSET_COLUMN] if figure.has_amounts else [])]
    lines = csv_lines(columns, written(figure.rows(range_.span, None)))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    days = "now" if figure.is_of_now else f"{range_.span.first}-{range_.span.last}"
    response["Content-Disposition"] = f'attachment; filename="{figure.slug}-{days}.csv"'
    # Not an HttpResponse by type, and served like one.
    return cast("HttpResponse", response)


def _range(request: HttpRequest, figure: Figure) -> Asked:
    """The range that is asked for; a figure as of now does not care which."""
    range_ = asked(request)
    return Asked(range_.form, Span.usual()) if figure.is_of_now else range_


def _figure_page(request: HttpRequest, figure: Figure, range_: Asked) -> HttpResponse:
    context: dict[str, Any] = {"figure": figure, "range": range_, "title": figure.title}
    if range_.span is not None:
        reading = Reading(range_.span, request.user)
        rows = list(shown(figure.rows(range_.span, SHOWN)))
        note = f"The first {SHOWN}; the file has all of them." if len(rows) == SHOWN else ""
        listed = figure.listed(range_.span) if figure.listed else ""
        context |= {
            "card": figure_cards.card(figure, reading),
            "charts": figure_cards.charts(figure.slug, reading),
            "tables": _tables(figure, reading),
            "section": Section("Rows", figure.columns, rows, listed, note),
        }
    status = 200 if range_.span is not None else 400
    return _page(request, "admin/figures/figure.html", context, status=status)


def _tables(figure: Figure, reading: Reading) -> list[Section]:
    match figure.slug:
        case "revenue":
            return breakdowns(reading.revenue)
        case "mrr" | "movements":
            return movements(reading.recurring)
        case _:
            return []


def _page(
    request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    request.current_app = admin.site.name
    whole = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, template, whole, status=status)
