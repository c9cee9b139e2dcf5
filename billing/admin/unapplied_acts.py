"""What staff do with money that fits nothing: say whose it is, turn it into credits."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Sum

from billing.admin.acts import ActForm, ActPage, BulkActPage, Cleaned, Line, Preview
from billing.admin.fields import CustomerField
from billing.models import Lot, Payment
from billing.money import CREDIT, Money
from billing.services import staff, unapplied
from billing.services.lot_products import origin_of
from billing.services.rehearsals import rehearse
from billing.services.staff import Note


class PayerForm(ActForm):
    """Whose money it is."""

    customer = CustomerField(label="Customer", help_text="Billing e-mail address, or id.")


def _facts(payment: Payment) -> Iterable[Line]:
    yield Line("Came in", payment.amount)
    yield Line("Payer", payment.customer or "unknown")
    yield Line("Not applied because", payment.unapplied_reason or "—")


class AssignPage(ActPage):
    """Says who an unknown payer was."""

    title = "Say who paid"
    submit = "Assign"
    form_class = PayerForm
    asks_first = True
    subject: Payment

    def facts(self) -> Iterable[Line]:
        return _facts(self.subject)

    def preview(self, cleaned: Cleaned) -> Preview:
        customer = cleaned["customer"]
        rehearse(lambda: unapplied.assign(self.subject.pk, customer))
        return Preview(
            [
                Line("Moves to the unapplied money of", f"{customer} ({customer.email})"),
                Line("Customer id", customer.pk),
                Line("Amount", self.subject.amount),
            ]
        )

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        staff.assign_payer(note, self.subject, cleaned["customer"])

    def success(self, cleaned: Cleaned) -> str:
        return f"{self.subject.amount} now belong to {cleaned['customer']}."


def _credits(payment: Payment) -> Money:
    """The credits this payment would become. Raises Conflict when it cannot."""

    def act() -> Money:
        order = unapplied.apply_as_credits(payment.pk).order
        lots = Lot.objects.filter(origin=origin_of(order)) if order else Lot.objects.none()
        return Money(lots.aggregate(total=Sum("granted_minor"))["total"] or 0, CREDIT)

    return rehearse(act)


class ApplyPage(ActPage):
    """Turns unapplied money into credits."""

    title = "Turn into credits"
    submit = "Turn into credits"
    subject: Payment

    def facts(self) -> Iterable[Line]:
        return _facts(self.subject)

    def preview(self, cleaned: Cleaned) -> Preview:
        payment = self.subject
        credits_bought = _credits(payment)
        return Preview(
            [
                Line("Buys", credits_bought),
                Line("for, without tax", payment.net),
                Line("booked as tax", payment.amount - payment.net),
            ]
        )

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        staff.apply_as_credits(note, self.subject)

    def success(self, cleaned: Cleaned) -> str:
        return f"{self.subject.amount} became credits."


class ApplySelectedPage(BulkActPage):
    """Turns several payments into credits."""

    title = "Turn the selected payments into credits"
    submit = "Turn into credits"
    action = "apply_selected"

    def line(self, row: Payment) -> Line:
        return Line(f"{row.amount} of {row.customer or 'an unknown payer'}", _credits(row))

    def perform_one(self, row: Payment, note: Note) -> None:
        staff.apply_as_credits(note, row)
