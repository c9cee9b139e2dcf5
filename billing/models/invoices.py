"""Our own invoices and credit notes: numbered without gaps, and final once they are issued."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from billing.models.disputes import Dispute
from billing.models.orders import Order
from billing.models.payments import Payment, Refund
from billing.money import Asset, Money, asset
from common import ids


class InvoiceKind(models.TextChoices):
    """What a document says."""

    INVOICE = "invoice", _("Invoice")
    CREDIT_NOTE = "credit_note", _("Credit note")
    REVERSAL = "reversal", _("Reversal of a credit note")


class InvoiceSeries(models.Model):
    """The last number given out in a series, e.g. ``INV-2026``. Locked while one is issued."""

    name = models.CharField(primary_key=True, max_length=16)
    last_number = models.PositiveIntegerField(default=0)

    class Meta:
        default_permissions = ("view",)
        verbose_name_plural = "invoice series"

    def __str__(self) -> str:
        return self.name


class Invoice(models.Model):
    """A document for a customer: an invoice for a payment, a credit note for what went back.

    A reversal takes back a credit note whose money did not go back after all. It is a draft until
    it has its number; from then on the database refuses to change it.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    kind = models.CharField(max_length=11, choices=InvoiceKind)
    customer = models.ForeignKey("accounts.Customer", models.PROTECT, related_name="invoices")
    series = models.CharField(max_length=16)
    number = models.PositiveIntegerField(null=True)
    # What it is for: an order and its payment, or what of that payment went back.
    order = models.ForeignKey(Order, models.PROTECT, related_name="invoices")
    payment = models.OneToOneField(Payment, models.PROTECT, null=True, related_name="invoice")
    refund = models.ForeignKey(Refund, models.PROTECT, null=True, related_name="documents")
    dispute = models.ForeignKey(Dispute, models.PROTECT, null=True, related_name="documents")
    # Counts the credit notes of that refund or dispute: one that was taken back makes room for
    # the next. A reversal has the round of the note that it takes back.
    round = models.PositiveSmallIntegerField(default=1)
    # The invoice of a credit note, or the credit note of a reversal.
    corrects = models.ForeignKey("self", models.PROTECT, null=True, related_name="corrections")
    asset = models.CharField(max_length=16)
    subtotal_minor = models.BigIntegerField()
    discount_minor = models.BigIntegerField(default=0)
    tax_minor = models.BigIntegerField(default=0)
    # Its words, and who sold and who bought, as they were when it was issued.
    language = models.CharField(max_length=8, default="en")
    seller = models.JSONField(default=dict)
    buyer = models.JSONField(default=dict)
    lines = models.JSONField(default=list)
    supplied_at = models.DateTimeField()
    issued_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["series", "number"], name="invoice_number_given_once"),
            models.CheckConstraint(
                condition=Q(number=None, issued_at=None) | Q(number__gt=0, issued_at__isnull=False),
                name="issued_invoice_has_a_number",
            ),
            models.CheckConstraint(
                condition=Q(
                    subtotal_minor__gte=0,
                    discount_minor__gte=0,
                    discount_minor__lte=F("subtotal_minor"),
                    tax_minor__gte=0,
                ),
                name="invoice_amounts_make_sense",
            ),
            models.CheckConstraint(
                condition=Q(
                    kind="invoice", payment__isnull=False, corrects=None, refund=None, dispute=None
                )
                | Q(
                    Q(refund__isnull=False, dispute=None) | Q(refund=None, dispute__isnull=False),
                    kind__in=["credit_note", "reversal"],
                    payment=None,
                    corrects__isnull=False,
                ),
                name="only_invoices_correct_nothing",
            ),
            models.UniqueConstraint(
                fields=["refund", "round", "kind"], name="refund_documented_once_a_round"
            ),
            models.UniqueConstraint(
                fields=["dispute", "round", "kind"], name="dispute_documented_once_a_round"
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="invoice_by_customer"),
            models.Index(fields=["id"], name="invoice_draft", condition=Q(number=None)),
        ]

    def __str__(self) -> str:
        return self.name or "draft"

    @property
    def name(self) -> str:
        """What people call it, e.g. ``INV-2026-000042``; empty while it is a draft."""
        return f"{self.series}-{self.number:06d}" if self.number else ""

    @property
    def unit(self) -> Asset:
        """The asset of its amounts."""
        return asset(self.asset)

    @property
    def subtotal(self) -> Money:
        """Before discount and tax."""
        return Money(self.subtotal_minor, self.unit)

    @property
    def discount(self) -> Money:
        """What was taken off."""
        return Money(self.discount_minor, self.unit)

    @property
    def tax(self) -> Money:
        """The tax in the total."""
        return Money(self.tax_minor, self.unit)

    @property
    def total(self) -> Money:
        """What was paid, or went back."""
        return self.subtotal - self.discount + self.tax

    @property
    def total_minor(self) -> int:
        """The same, in the asset's smallest unit."""
        return self.total.amount_minor
