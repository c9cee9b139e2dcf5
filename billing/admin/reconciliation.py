"""Reconciliation: every look into the providers' own books, what differed, what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.enums import ActionVariant

from billing.admin.base import (
    LongTableAdmin,
    ReadOnlyAdmin,
    badge,
    link_to,
    list_of,
    staff_act,
    text,
)
from billing.admin.customer_money import Row, Section
from billing.admin.filters import (
    DifferenceStateFilter,
    NounFilter,
    RailFilter,
    ReconciledRailFilter,
)
from billing.admin.reconciliation_acts import (
    RepairPage,
    RepairSafePage,
    RepairSelectedPage,
    RunPage,
)
from billing.models import ItemState, ReconciliationItem, ReconciliationRun, RunOutcome
from billing.models.reconciliation import OPEN
from common.tables import csv_lines, harmless

SHOWN = 50
OUTCOME = badge(
    "outcome",
    "Outcome",
    {
        RunOutcome.WAITING: "info",
        RunOutcome.RUNNING: "primary",
        RunOutcome.CLEAN: "success",
        RunOutcome.DIFFERENCES: "warning",
        RunOutcome.UNREACHABLE: "danger",
        RunOutcome.FAILED: "danger",
    },
)
STATE = badge(
    "state",
    "State",
    {
        ItemState.FOUND: "warning",
        ItemState.LEFT: "danger",
        ItemState.REPAIRED: "success",
        ItemState.GONE: "info",
    },
)
COMPARED = text("compared_count", "Compared")
FOUND = text("found_count", "Differ")
REPAIRED = text("repaired_count", "Repaired")
LEFT = text("left_count", "Wait for somebody")
COLUMNS = ["What", "Which", "Ours", "Theirs", "Repair does", "State", ""]
CSV_COLUMNS = (
    "Kind", "Subject", "Detail", "Ours", "Theirs", "Safe", "Repair", "Advice", "State", "Found",
    "Repaired", "Note",
)  # fmt: skip


@admin.display(description="What", ordering="kind")
def what(item: ReconciliationItem) -> str:
    """The kind as people say it."""
    return item.title


@admin.display(description="Run", ordering="run")
def run_of(item: ReconciliationItem) -> SafeString:
    """A short link to the run that named it."""
    return link_to(item.run, f"{item.run.asked_at:%Y-%m-%d %H:%M}")


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    """Runs, newest first; each with its differences."""

    list_display = [
        "asked_at", OUTCOME, "rail", "since", "until", COMPARED, FOUND, REPAIRED, LEFT,
        "started_by",
    ]  # fmt: skip
    list_select_related = ["started_by"]
    list_filter = ["outcome", RailFilter]
    list_before_template = "admin/billing/reconciliation_intro.html"
    date_hierarchy = "asked_at"
    search_fields = ["id"]
    search_help_text = "Run id. A payment's or refund's id is found under Differences."
    change_form_outer_before_template = "admin/billing/reconciliation_items.html"
    actions_list = ["run_now"]
    actions_detail = ["repair_safe", "download"]
    fieldsets = [
        (None, {"fields": ["id", "rail", "since", "until", "repairs", "outcome", "note"]}),
        ("Counted", {"fields": [COMPARED, FOUND, REPAIRED, LEFT]}),
        ("Moments", {"fields": ["asked_at", "started_by", "started_at", "finished_at"]}),
    ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run = self.row(request, object_id)
        may = self.has_reconcile_permission(request)
        more = {"run": run, "sections": list(_sections(run, may_repair=may))}
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, (extra_context or {}) | more
        )
        return answer

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Only the acts that still can do something."""
        run = self.row(request, str(object_id))
        waiting = run.is_over and run.items.filter(state__in=OPEN, is_safe=True).exists()
        possible = {"download", "repair_safe"} if waiting else {"download"}
        return [
            one
            for one in super().get_actions_detail(request, object_id)
            if one.method.original_function_name in possible
        ]

    @staff_act(
        "Run now",
        right="reconcile",
        icon="play_arrow",
        path="run-now/",
        variant=ActionVariant.PRIMARY,
    )
    def run_now(self, request: HttpRequest) -> HttpResponse:
        """Ask of which days, and have a worker do it."""
        return RunPage(self, request, None).respond()

    @staff_act(
        "Repair all that is safe",
        right="reconcile",
        icon="build",
        path="repair-safe",
        variant=ActionVariant.PRIMARY,
    )
    def repair_safe(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what would be repaired, and repair it."""
        return RepairSafePage(self, request, self.row(request, object_id)).respond()

    @staff_act("Download", right="view", icon="download", path="csv")
    def download(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The run's differences as CSV, sent as they are read."""
        run = self.row(request, object_id)
        lines = csv_lines(CSV_COLUMNS, _csv_rows(run))
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        name = f"reconciliation-{run.rail}-{run.asked_at:%Y-%m-%d-%H%M}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        # Not an HttpResponse by type, and served like one.
        return cast("HttpResponse", response)


@admin.register(ReconciliationItem)
class ReconciliationItemAdmin(LongTableAdmin):
    """Differences of all runs, newest first."""

    list_display = [
        what, "subject", "ours", "theirs", "is_safe", STATE, run_of, "repaired_at",
    ]  # fmt: skip
    list_select_related = ["run"]
    list_filter = [DifferenceStateFilter, NounFilter, "is_safe", ReconciledRailFilter]
    search_fields = ["id", "subject", "run__id"]
    search_help_text = "The provider's id (pi_…, re_…, du_…, in_…, sub_…), our order id, or run id."
    fieldsets = [
        (None, {"fields": [what, "subject", "run", "state"]}),
        ("What differs", {"fields": ["detail", "ours", "theirs"]}),
        ("Repair", {"fields": ["remedy", "is_safe", "advice"]}),
        ("What became of it", {"fields": ["found_at", "repaired_at", "note"]}),
    ]
    actions = ["repair_selected"]
    actions_detail = ["repair"]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """None once there is nothing left that repair could do."""
        if not self.row(request, str(object_id)).is_repairable:
            return []
        acts: list[Any] = super().get_actions_detail(request, object_id)
        return acts

    @staff_act(
        "Repair", right="reconcile", icon="build", path="repair", variant=ActionVariant.PRIMARY
    )
    def repair(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what repair would book, and do it."""
        return RepairPage(self, request, self.row(request, object_id)).respond()

    @admin.action(description="Repair", permissions=["reconcile"])
    def repair_selected(
        self, request: HttpRequest, queryset: QuerySet[ReconciliationItem]
    ) -> HttpResponse:
        """Repair several."""
        chosen = queryset.select_related("run").order_by("pk")
        return RepairSelectedPage(self, request, chosen).respond()


def _sections(run: ReconciliationRun, *, may_repair: bool) -> Iterator[Section]:
    """The run's differences: those that wait, then the others."""
    waiting = run.items.filter(state__in=OPEN).order_by("pk")
    others = run.items.exclude(state__in=OPEN).order_by("pk")
    everything = list_of(ReconciliationItem, run__id__exact=run.pk)
    if waiting.exists() or not others.exists():
        rows = [_row(item, may_repair=may_repair) for item in waiting[:SHOWN]]
        yield Section("Waiting for somebody", COLUMNS, rows, everything, _note(run))
    if others.exists():
        rows = [_row(item, may_repair=False) for item in others[:SHOWN]]
        yield Section("Repaired, or gone", COLUMNS, rows, everything)


def _note(run: ReconciliationRun) -> str:
    if not run.is_over:
        return "It is not over yet. Reload the page to see more."
    if run.outcome in (RunOutcome.UNREACHABLE, RunOutcome.FAILED):
        return f"It was broken off: {run.note} What it had named by then is below."
    return ""


def _row(item: ReconciliationItem, *, may_repair: bool) -> Row:
    does = item.remedy or f"Nothing here. {item.advice}"
    safe = " (safe)" if item.is_safe else ""
    return (
        link_to(item, item.title),
        item.subject,
        item.ours or "—",
        item.theirs or "—",
        f"{does}{safe}",
        item.get_state_display(),
        _repair_link(item) if may_repair and item.is_repairable else item.note,
    )


def _repair_link(item: ReconciliationItem) -> SafeString:
    address = reverse("admin:billing_reconciliationitem_repair", args=[item.pk])
    return format_html('<a class="text-link" href="{}">Repair</a>', address)


def _csv_rows(run: ReconciliationRun) -> Iterator[Sequence[Any]]:
    for item in run.items.order_by("pk").iterator(500):
        texts = (item.kind, item.subject, item.detail, item.ours, item.theirs)
        yield (
            *(harmless(text) for text in texts),
            "yes" if item.is_safe else "no",
            harmless(item.remedy),
            harmless(item.advice),
            item.state,
            item.found_at.isoformat(timespec="seconds"),
            item.repaired_at.isoformat(timespec="seconds") if item.repaired_at else "",
            harmless(item.note),
        )
