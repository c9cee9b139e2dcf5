"""Giving a customer credits, or taking some away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, time, timedelta

from django import forms
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldBooleanWidget

from accounts.models import Customer
from billing import selectors
from billing.admin.acts import ActForm, ActPage, Cleaned, Line, Preview
from billing.admin.fields import DayInput, MoneyField
from billing.money import CREDIT
from billing.selectors import Balance
from billing.services import adjustments
from billing.services.rehearsals import rehearse
from billing.services.staff import Note
from common import ids


class GrantForm(ActForm):
    """How many credits, of what kind, until when."""

    amount = MoneyField(asset=CREDIT, label="Credits")
    kind = forms.ChoiceField(
        choices=[
            ("promotion", "A gift: spent before bought credits, pays no debt"),
            ("correction", "Makes up for something: like bought credits, pays a debt first"),
        ],
        initial="promotion",
        widget=UnfoldAdminRadioSelectWidget,
    )
    expires_on = forms.DateField(
        required=False,
        label="Last day",
        help_text="In the customer's time zone. Empty: they do not expire.",
        widget=DayInput,
    )


class TakeForm(ActForm):
    """How many credits, and what if they are not there."""

    amount = MoneyField(asset=CREDIT, label="Credits")
    may_owe = forms.BooleanField(
        required=False,
        label="Owe what is not there",
        help_text="The next purchase pays it first; until then nothing can be spent.",
        widget=UnfoldBooleanWidget,
    )


class _AdjustmentPage(ActPage):
    """What both have in common: the balance before and after."""

    asks_first = True
    subject: Customer

    def facts(self) -> Iterable[Line]:
        balance = selectors.balance(self.subject)
        yield Line("Spendable", balance.spendable)
        yield Line("Held", balance.held)
        yield Line("Owed", balance.debt)

    def preview(self, cleaned: Cleaned) -> Preview:
        after = rehearse(lambda: self._after(cleaned))
        return Preview(
            [
                Line(self.submit, cleaned["amount"]),
                Line("Spendable afterwards", after.spendable),
                Line("Owed afterwards", after.debt, is_warning=bool(after.debt)),
                *self.more(cleaned),
            ]
        )

    def more(self, cleaned: Cleaned) -> Iterable[Line]:
        """Whatever else there is to say."""
        return ()

    def _after(self, cleaned: Cleaned) -> Balance:
        self.perform(cleaned, Note(self._staff(), "rehearsal", f"rehearsal:{ids.uuid7()}"))
        return selectors.balance(self.subject)


class GrantPage(_AdjustmentPage):
    """Grants credits."""

    title = "Grant credits"
    submit = "Grant"
    form_class = GrantForm

    def more(self, cleaned: Cleaned) -> Iterable[Line]:
        expires_at = self._expires_at(cleaned)
        yield Line("Valid", f"until {expires_at:%Y-%m-%d %H:%M %Z}" if expires_at else "for good")

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        adjustments.grant(
            note,
            self.subject,
            cleaned["amount"],
            promotional=cleaned["kind"] == "promotion",
            expires_at=self._expires_at(cleaned),
        )

    def success(self, cleaned: Cleaned) -> str:
        return f"{cleaned['amount']} granted."

    def _expires_at(self, cleaned: Cleaned) -> datetime | None:
        """The end of the last day, where the customer lives."""
        last_day = cleaned["expires_on"]
        if last_day is None:
            return None
        return datetime.combine(last_day + timedelta(days=1), time.min, tzinfo=self.subject.zone)


class TakePage(_AdjustmentPage):
    """Takes credits away."""

    title = "Take credits away"
    submit = "Take away"
    form_class = TakeForm
    is_dangerous = True

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        adjustments.take(note, self.subject, cleaned["amount"], may_owe=cleaned["may_owe"])

    def success(self, cleaned: Cleaned) -> str:
        return f"{cleaned['amount']} taken away."
