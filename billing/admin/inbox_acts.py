"""Having stored events handled again."""

from __future__ import annotations

from collections.abc import Iterable

from billing.admin.acts import ActPage, BulkActPage, Cleaned, Line, Preview
from billing.models import InboundEvent
from billing.services import staff
from billing.services.staff import Note


class HandleAgainPage(ActPage):
    """Puts one event back in the queue."""

    title = "Handle again"
    submit = "Handle again"
    subject: InboundEvent

    def facts(self) -> Iterable[Line]:
        yield Line("State", self.subject.get_state_display())
        yield Line("Attempts", self.subject.attempts)

    def preview(self, cleaned: Cleaned) -> Preview:
        lines = [
            Line("Goes back into the queue", self.subject.kind),
            Line("Handlers ask the provider for today's state and act once", "all the same"),
        ]
        return Preview(lines)

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        staff.handle_again(note, self.subject)

    def success(self, cleaned: Cleaned) -> str:
        return "The event is back in the queue."


class HandleSelectedPage(BulkActPage):
    """Puts several events back in the queue."""

    title = "Handle the selected events again"
    submit = "Handle again"
    action = "handle_selected"

    def line(self, row: InboundEvent) -> Line:
        return Line(row.external_id, row.kind)

    def perform_one(self, row: InboundEvent, note: Note) -> None:
        staff.handle_again(note, row)
