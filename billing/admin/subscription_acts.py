"""What staff does to a subscription: end it, now or later, or ask the provider how it stands."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from billing import selectors
from billing.admin.acts import ActPage, Cleaned, Line, Preview
from billing.errors import ChangeNotPossible
from billing.models import Subscription
from billing.services import rails, renewing, subscription_acts
from billing.services.staff import Note


class SubscriptionPage(ActPage):
    """An act on one subscription."""

    subject: Subscription

    def facts(self) -> Iterable[Line]:
        row = selectors.subscription_row(self.subject)
        yield Line("Customer", self.subject.customer)
        yield Line("Plan", row.title)
        yield Line("Stands", f"{row.phase.label}. {row.next.sentence}")
        yield Line("Paid until", _moment(self.subject.period_ends_at))
        if self.subject.is_duplicate:
            yield Line("Bought beside another one", "refundable", is_warning=True)


class EndLaterPage(SubscriptionPage):
    """Lets it end with what is paid."""

    title = "End at the end of the period"
    submit = "End it then"

    def preview(self, cleaned: Cleaned) -> Preview:
        subscription_acts.require_live(self.subject)
        renewing.rail_of(self.subject)
        if self.subject.cancels_at is not None:
            raise ChangeNotPossible(f"It ends on {_moment(self.subject.cancels_at)} already.")
        lines = [
            Line("Access stays until", _moment(self.subject.period_ends_at)),
            Line("Then it ends instead of renewing for", self.subject.price),
        ]
        if self.subject.next_plan_slug:
            lines.append(Line("The change that waits is dropped", self.subject.next_plan_slug))
        return Preview(lines)

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        subscription_acts.end_at_period_end(note, self.subject)

    def success(self, cleaned: Cleaned) -> str:
        return "It ends with what is paid."


class EndNowPage(SubscriptionPage):
    """Ends it at once; money is refunded on the payment's own page."""

    title = "End now"
    submit = "End it now"
    is_dangerous = True

    def preview(self, cleaned: Cleaned) -> Preview:
        subscription_acts.require_live(self.subject)
        lines = [Line("Access ends", "at once")]
        if self.subject.renews:
            way = rails.named(self.subject.rail).title
            lines.append(Line(f"Told to charge nothing more ({way})", self.subject.external_id))
        lines.append(
            Line(
                "Money",
                "stays; refund what is unused on the payment's page",
                is_warning=True,
            )
        )
        return Preview(lines)

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        subscription_acts.end_now(note, self.subject)

    def success(self, cleaned: Cleaned) -> str:
        return "The subscription has ended."


class RefreshPage(SubscriptionPage):
    """Asks the provider how it stands, and settles what it has billed."""

    title = "Refresh from the provider"
    submit = "Refresh"

    def preview(self, cleaned: Cleaned) -> Preview:
        renewing.rail_of(self.subject)
        return Preview(
            [
                Line("Asks the provider for", self.subject.external_id),
                Line("Settles what it has billed", "each invoice once"),
                Line("Then takes its state of today", "nothing is charged by this"),
            ]
        )

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        subscription_acts.refresh(note, self.subject)

    def success(self, cleaned: Cleaned) -> str:
        self.subject.refresh_from_db()
        return f"It is {self.subject.get_status_display()}."


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
