"""What staff do about reconciliation: run one, repair a difference, repair all that is safe."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanWidget

from billing.admin import base
from billing.admin.acts import ActForm, ActPage, BulkActPage, Cleaned, Line, Preview
from billing.admin.fields import DayInput
from billing.models import ReconciliationItem, ReconciliationRun
from billing.models.reconciliation import OPEN
from billing.services import rails, reconciliations
from billing.services.staff import Note
from common import clock
from common.errors import Conflict

NOTHING = "Nothing differs here any more."


class RunForm(ActForm):
    """Which books, of which days, and whether to repair."""

    rail = forms.ChoiceField(label="Way to pay", widget=UnfoldAdminSelectWidget)
    since = forms.DateField(label="First day", help_text="In UTC.", widget=DayInput)
    until = forms.DateField(
        required=False,
        label="Last day",
        help_text="In UTC. Empty: until now, with what earlier runs left and the balance.",
        widget=DayInput,
    )
    repairs = forms.BooleanField(
        required=False,
        initial=True,
        label="Repair what is safe",
        help_text="What a lost message should have done. Everything else is only named.",
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [(rail.name, rail.title) for rail in rails.available()]
        field = self.fields["rail"]
        if isinstance(field, forms.ChoiceField):
            field.choices = choices
        self.fields["since"].initial = (clock.now() - timedelta(days=2)).date().isoformat()

    def clean(self) -> Cleaned:
        """Time goes forward, and has begun."""
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and since > clock.now().date():
            self.add_error("since", "That day has not begun.")
        if since and until and until < since:
            self.add_error("until", "That is before the first day.")
        return cleaned


class RunPage(ActPage):
    """Has a worker compare the books of some days."""

    title = "Run a reconciliation"
    submit = "Run now"
    form_class = RunForm
    asks_first = True

    def preview(self, cleaned: Cleaned) -> Preview:
        since, until = _days(cleaned)
        safe = "Done at once" if cleaned["repairs"] else "Only named"
        return Preview(
            [
                Line("Compares the books of", rails.named(cleaned["rail"]).title),
                Line("from", f"{since:%Y-%m-%d %H:%M} UTC"),
                Line("until", f"{until:%Y-%m-%d %H:%M} UTC" if until else "now"),
                Line("What a lost message should have done", safe),
                Line("What is more than that", "Only named, and waits for you"),
            ]
        )

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        since, until = _days(cleaned)
        mode: reconciliations.Mode = "safe" if cleaned["repairs"] else "none"
        reconciliations.ask(note, cleaned["rail"], since, until, repair=mode)

    def success(self, cleaned: Cleaned) -> str:
        return "A worker is at it. Reload this page to see what it finds."

    def back(self) -> str:
        return base.list_of(ReconciliationRun)

    def context(self) -> dict[str, Any]:
        return {"opts": self.admin.model._meta}


def _days(cleaned: Cleaned) -> tuple[datetime, datetime | None]:
    """From the first moment of the first day to the last of the last; None is now."""
    since = datetime.combine(cleaned["since"], time(), UTC)
    last = cleaned["until"]
    until = datetime.combine(last, time(), UTC) + timedelta(days=1) if last else None
    return since, until if until is not None and until <= clock.now() else None


class RepairPage(ActPage):
    """Puts one difference right; shows first what that would book."""

    title = "Repair this difference"
    submit = "Repair"
    subject: ReconciliationItem

    def facts(self) -> Iterable[Line]:
        item = self.subject
        yield Line(item.title.capitalize(), item.subject)
        yield Line("Found", item.detail)
        yield Line("Ours", item.ours or "—")
        yield Line("Theirs", item.theirs or "—")

    def preview(self, cleaned: Cleaned) -> Preview:
        found, transfers = reconciliations.preview(self.subject)
        if found is None:
            return Preview([Line(NOTHING, "It will be closed.")])
        finding = found.finding
        lines = [Line("Repair", finding.remedy)]
        if (finding.ours, finding.theirs) != (self.subject.ours, self.subject.theirs):
            lines.insert(0, Line("Now ours", finding.ours or "—"))
            lines.insert(1, Line("Now theirs", finding.theirs or "—"))
        if finding.advice:
            lines.append(Line("Mind", finding.advice, is_warning=True))
        return Preview(lines, transfers)

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        reconciliations.repair(note, self.subject)

    def success(self, cleaned: Cleaned) -> str:
        if self.subject.is_open:
            return f"Repaired, and it still differs: {self.subject.note}"
        return f"{self.subject.title.capitalize()} {self.subject.subject}: done."


class RepairSelectedPage(BulkActPage):
    """Puts several differences right, each for itself."""

    title = "Repair the selected differences"
    submit = "Repair"
    action = "repair_selected"

    def line(self, row: ReconciliationItem) -> Line:
        if not row.is_repairable:
            raise Conflict(row.advice or "Nothing is left to do here.")
        return Line(str(row).capitalize(), row.remedy, is_warning=not row.is_safe)

    def perform_one(self, row: ReconciliationItem, note: Note) -> None:
        reconciliations.repair(note, row)


class RepairSafePage(RepairSelectedPage):
    """Does all that lost messages should have done, of one run."""

    title = "Repair all that is safe"

    def __init__(self, admin: base.Acting, request: Any, run: ReconciliationRun) -> None:
        safe = run.items.filter(state__in=OPEN, is_safe=True).exclude(remedy="")
        super().__init__(admin, request, safe.select_related("run").order_by("pk"))
        self.run = run

    def back(self) -> str:
        return base.page_of(self.run)

    def context(self) -> dict[str, Any]:
        return {"opts": self.run._meta, "original": self.run}
