"""The admin's first page; named in settings.UNFOLD."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from billing.admin import figure_cards
from billing.admin.attention import Attention
from billing.admin.base import link_to, list_of
from billing.admin.customer_money import Section
from billing.admin.figure_cards import Reading
from billing.admin.figure_charts import Chart
from billing.admin.figure_form import asked
from billing.admin.figure_tables import breakdowns, movements
from billing.admin.figures import FIGURES
from billing.admin.staff_log import done_to, what
from billing.models import Payment, StaffAction

LATEST = 10


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds what somebody should look at, the figures, and what happened last, by rights."""
    attention = Attention(request.user)
    range_ = asked(request)
    added: dict[str, Any] = {
        "attention_cards": attention.cards(),
        "range": range_,
        "sections": _latest(request),
    }
    if range_.span is not None:
        oldest = attention.of("events").at
        added |= _figures(request, Reading(range_.span, request.user, oldest_event=oldest))
    return context | added


def _figures(request: HttpRequest, reading: Reading) -> dict[str, Any]:
    may = {slug for slug, figure in FIGURES.items() if figure.may_be_seen_by(request.user)}
    charts: list[Chart] = []
    for slug in ("revenue", "mrr"):
        charts += figure_cards.charts(slug, reading) if slug in may else []
    return {
        "figure_cards": figure_cards.cards(reading, request.user),
        "charts": charts,
        "tables": [
            *(breakdowns(reading.revenue) if "revenue" in may else ()),
            *(movements(reading.recurring) if "movements" in may else ()),
        ],
    }


def _latest(request: HttpRequest) -> list[Section]:
    tables = (("billing.view_payment", _payments), ("billing.view_staffaction", _staff_actions))
    return [build() for right, build in tables if request.user.has_perm(right)]


def _payments() -> Section:
    found = Payment.objects.select_related("customer", "order").order_by("-pk")[:LATEST]
    rows = [
        (
            link_to(payment, payment.external_id),
            payment.amount,
            link_to(payment.customer) if payment.customer else "unknown",
            link_to(payment.order) if payment.order else payment.unapplied_reason or "unapplied",
            payment.settled_at,
        )
        for payment in found
    ]
    columns = ["Payment", "Came in", "Payer", "For", "When"]
    return Section("Latest payments", columns, rows, list_of(Payment))


def _staff_actions() -> Section:
    found = StaffAction.objects.select_related("staff").order_by("-created_at", "-pk")[:LATEST]
    rows = [
        (link_to(action, what(action)), done_to(action), action.staff, action.reason,
         action.created_at)
        for action in found
    ]  # fmt: skip
    columns = ["What", "Done to", "By", "Why", "When"]
    return Section("Latest staff actions", columns, rows, list_of(StaffAction))
