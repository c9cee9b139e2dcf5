"""Refunding a payment by hand: the unspent share, a part, or all that is left."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldBooleanWidget

from billing.admin.acts import ActForm, ActPage, Cleaned, Line, Preview
from billing.admin.fields import MoneyField
from billing.errors import NotRefundable
from billing.models import Payment
from billing.money import Asset, Money
from billing.services import rails, refund_previews, staff
from billing.services.refund_previews import RefundPreview
from billing.services.staff import Note


class RefundForm(ActForm):
    """How much goes back, and whether what is spent goes back too."""

    share = forms.ChoiceField(
        label="What goes back",
        choices=[
            ("unspent", "The unspent share"),
            ("part", "An amount"),
            ("all", "All that is left, spent or not"),
        ],
        initial="unspent",
        widget=UnfoldAdminRadioSelectWidget,
    )
    forced = forms.BooleanField(
        required=False,
        label="Even if that share is spent",
        help_text="What is spent is then owed by the customer and paid by their next purchase.",
        widget=UnfoldBooleanWidget,
    )

    def __init__(self, *args: Any, asset: Asset, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["amount"] = MoneyField(
            asset=asset, required=False, help_text="Tax included. Only for “An amount”."
        )
        self.order_fields(["share", "amount", "forced"])

    def clean(self) -> Cleaned:
        """An amount needs its number."""
        cleaned = super().clean() or {}
        if cleaned.get("share") == "part" and cleaned.get("amount", 0) is None:
            self.add_error("amount", "Say how much.")
        return cleaned


class RefundPage(ActPage):
    """Refunds a payment; shows first what goes back, what is taken and what would be owed."""

    title = "Refund this payment"
    submit = "Refund"
    asks_first = True
    is_dangerous = True
    subject: Payment

    def form(self, data: dict[str, str] | None = None) -> RefundForm:
        return RefundForm(data, asset=self.subject.unit)

    def facts(self) -> Iterable[Line]:
        payment = self.subject
        yield Line("Paid", payment.amount)
        if payment.refunding_minor:
            yield Line("Refunds asked for so far", payment.amount - payment.refundable)
        yield Line("Left to refund", payment.refundable)
        yield Line("Unspent of that", self._unspent())
        yield Line("For", payment.order.product_name if payment.order else "no order")

    def preview(self, cleaned: Cleaned) -> Preview:
        self._told = told = self._rehearsed(cleaned)
        way = rails.of(self.subject).title
        lines = [Line(f"Back to the payer ({way})", told.amount)]
        if self.subject.order is None:
            lines.append(Line("Taken from the unapplied money", told.amount))
        else:
            lines += [Line("of it price", told.net), Line("of it tax", told.tax)]
        for units in told.units:
            lines.append(Line("Taken back from the wallet", units.taken))
            if units.paid_at_once:
                lines.append(Line("Spent, and paid from other purchases", units.paid_at_once))
            lines.append(
                Line("Spent, and owed from now on", units.owed, is_warning=bool(units.owed))
            )
        return Preview(lines, told.transfers)

    def settled(self, form: ActForm, preview: Preview) -> ActForm:
        """The amount that was shown, whatever is spent until the yes."""
        amount = self._told.amount.plain()
        data = self.request.POST.dict() | {"share": "part", "amount": amount}
        if form.cleaned_data["share"] == "all":
            data["forced"] = "on"
        settled = self.form(data)
        settled.is_valid()
        return settled

    def perform(self, cleaned: Cleaned, note: Note) -> None:
        staff.refund(note, self.subject, cleaned["amount"], forced=cleaned["forced"])

    def success(self, cleaned: Cleaned) -> str:
        return f"A refund of {cleaned['amount']} is on its way to the provider."

    def _unspent(self) -> Money:
        try:
            return refund_previews.preview(self.subject, amount_minor=None, forced=False).amount
        except NotRefundable:
            return Money(0, self.subject.unit)

    def _rehearsed(self, cleaned: Cleaned) -> RefundPreview:
        share = cleaned["share"]
        amount = {"part": cleaned["amount"], "all": self.subject.refundable}.get(share)
        try:
            return refund_previews.preview(
                self.subject,
                amount_minor=amount.amount_minor if amount else None,
                forced=cleaned["forced"] or share == "all",
            )
        except NotRefundable:
            if share != "unspent":
                raise
            raise NotRefundable("None of it is unspent. Choose an amount, or all of it.") from None
