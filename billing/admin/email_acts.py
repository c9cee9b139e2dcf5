"""Having e-mails sent again."""

from __future__ import annotations

from collections.abc import Iterable

from billing.admin.acts import ActPage, BulkActPage, Cleaned, Line, Preview
from billing.models import Email
from billing.services import staff
from billing.services.staff import Note


class SendAgainPage(ActPage):
    """Sends one e-mail once more."""

    title = "Send again"
    submit = "Send again"
    subject: Email

    def facts(self) -> Iterable[Line]:
        yield Line("State", self.subject.get_state_display())
        yield Line("Sent to", self.subject.sent_to or "nobody yet")

    def preview(self, cleaned: Cleaned) -> Preview:
        to = self.subject.to_address or self.subject.customer.email
        return Preview([Line(f"Goes to {to}", self.subject.kind_label), _NOTE])

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        staff.send_again(note, self.subject)

    def success(self, cleaned: Cleaned) -> str:
        return "The e-mail is on its way."


class SendSelectedPage(BulkActPage):
    """Sends several e-mails once more."""

    title = "Send the selected e-mails again"
    submit = "Send again"
    action = "send_selected"

    def line(self, row: Email) -> Line:
        return Line(f"Goes to {row.to_address or row.customer.email}", row.kind_label)

    def perform_one(self, row: Email, note: Note) -> None:
        staff.send_again(note, row)


_NOTE = Line("It is written anew, from what is so now", "and dropped if it tells nothing any more")
