"""E-mails about money that came, went back, or was disputed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from accounts.models import Customer
from billing.models import (
    AutoTopUpStop,
    Dispute,
    DisputeState,
    Email,
    EmailKind,
    EmailState,
    Invoice,
    InvoiceKind,
    Order,
    Payment,
    Refund,
    RefundState,
)
from billing.money import CREDIT, Money, asset
from billing.services import emails, invoice_pdf, letters, rails
from billing.services.letters import Attachment, Button, Letter, NotNeeded, NotYet, day, link
from billing.titles import order_title

# A receipt brings its invoice; it waits for a number so often, then it goes without.
TRIES_FOR_INVOICE = 5


@letters.of(EmailKind.RECEIPT, EmailKind.AUTO_TOP_UP_CHARGED)
def of_payment(email: Email) -> Letter:
    """A receipt, with the invoice as soon as that has its number."""
    payment = _payment(email)
    charged = f"{EmailKind.AUTO_TOP_UP_CHARGED}:{payment.pk}"
    if email.kind == EmailKind.RECEIPT and Email.objects.filter(key=charged).exists():
        raise NotNeeded("The e-mail about the auto top-up is the receipt.")
    invoice = Invoice.objects.filter(payment=payment, number__isnull=False).first()
    if invoice is None and _gets_an_invoice(payment) and email.attempts <= TRIES_FOR_INVOICE:
        raise NotYet(emails.WAITS_FOR_INVOICE)
    if email.kind == EmailKind.AUTO_TOP_UP_CHARGED:
        return auto_top_up_charged(payment, invoice)
    return receipt(payment, invoice)


@letters.of(EmailKind.INVOICE)
def of_invoice(email: Email) -> Letter:
    """An invoice or credit note as PDF, unless the receipt brings or has brought it."""
    invoice = Invoice.objects.select_related("customer", "order", "corrects").get(
        pk=email.context["invoice"]
    )
    if invoice.kind == InvoiceKind.INVOICE and _came_with_receipt(invoice):
        raise NotNeeded("The receipt brings it.")
    return document(invoice, [attached(invoice)])


@letters.of(EmailKind.REFUND_MADE)
def of_refund(email: Email) -> Letter:
    refund = Refund.objects.select_related("payment__customer", "payment__order").get(
        pk=email.context["refund"]
    )
    if refund.state != RefundState.SUCCEEDED:
        raise NotNeeded("The refund failed after all.")
    return refund_made(refund)


@letters.of(EmailKind.DISPUTE_OPENED)
def of_dispute(email: Email) -> Letter:
    dispute = Dispute.objects.select_related("payment__customer", "payment__order").get(
        pk=email.context["dispute"]
    )
    if dispute.state != DisputeState.OPEN:
        raise NotNeeded("The dispute is decided.")
    return dispute_opened(dispute)


@letters.of(EmailKind.AUTO_TOP_UP_FAILED)
def of_failed_top_up(email: Email) -> Letter:
    amount = Money(int(email.context["amount_minor"]), asset(email.context["asset"]))
    return auto_top_up_failed(email.customer, amount, str(email.context.get("reason", "")))


@letters.of(EmailKind.AUTO_TOP_UP_STOPPED)
def of_stopped_top_up(email: Email) -> Letter:
    return auto_top_up_stopped(email.customer, str(email.context.get("reason", "")))


# --- What they say, from rows that need not be stored (the preview page has none) ----------------


def receipt(payment: Payment, invoice: Invoice | None) -> Letter:
    """Money came in; what for, and what became of it."""
    order = payment.order
    if order is None or order.from_unapplied:
        return _receipt_of_unapplied(payment, order, invoice)
    product = letters.name(order_title(order))
    sentence = _("Thank you. Your payment for %(product)s has arrived.") % {"product": product}
    if order.delivered_at is None:
        sentence = _(
            "Thank you. Your payment for %(product)s has arrived. It is being delivered to your"
            " account; you need do nothing."
        ) % {"product": product}
    return Letter(
        subject=_("Your receipt for %(product)s: %(amount)s")
        % {"product": product, "amount": payment.amount},
        title=_("Payment received"),
        figure=str(payment.amount),
        body=[sentence],
        facts=_payment_facts(payment, order, invoice),
        button=_receipt_button(payment),
        notes=_invoice_notes(invoice),
        attachments=_attachments(invoice),
    )


def auto_top_up_charged(payment: Payment, invoice: Invoice | None) -> Letter:
    """The same for a charge that nobody clicked for."""
    return Letter(
        subject=_("Auto top-up: %(amount)s charged") % {"amount": payment.amount},
        title=_("Your credits were topped up"),
        figure=str(payment.amount),
        body=[
            _(
                "Your credits fell below your threshold, so we charged your saved card, as you"
                " have set it up."
            )
        ],
        facts=_payment_facts(payment, payment.order, invoice),
        button=_receipt_button(payment),
        notes=[
            _("You can change it or switch it off at any time, under Auto top-up."),
            *_invoice_notes(invoice),
        ],
        attachments=_attachments(invoice),
    )


def auto_top_up_failed(customer: Customer, amount: Money, reason: str) -> Letter:
    """A charge that nobody clicked for did not go through."""
    why = {
        "declined": _("Your bank declined the charge."),
        "needs_you": _("Your bank wants you to confirm the charge yourself."),
    }.get(reason, _("The charge did not go through."))
    return Letter(
        subject=_("Auto top-up failed: %(amount)s was not charged") % {"amount": amount},
        title=_("Auto top-up failed"),
        body=[
            _("We tried to top up your credits with %(amount)s. %(why)s Nothing was charged.")
            % {"amount": amount, "why": why},
            _("Your credits keep working until they are spent. Buy credits, or use another card."),
        ],
        facts=letters.greeting_facts(customer),
        button=Button(_("Check auto top-up"), link("billing:auto_top_up")),
    )


def auto_top_up_stopped(customer: Customer, reason: str) -> Letter:
    """Auto top-up was switched off, and not by its owner."""
    known = reason in AutoTopUpStop.values
    why = str(AutoTopUpStop(reason).label) if known else _("It could not go on as it was set up.")
    return Letter(
        subject=_("Auto top-up is switched off"),
        title=_("Auto top-up is switched off"),
        body=[
            why,
            _(
                "Nothing will be charged by itself any more. Once your credits are spent, requests"
                " that need credits are refused until you buy more or switch it on again."
            ),
        ],
        facts=letters.greeting_facts(customer),
        button=Button(_("Check auto top-up"), link("billing:auto_top_up")),
    )


def document(invoice: Invoice, attachments: Sequence[Attachment]) -> Letter:
    """One of our documents, as a file."""
    product = letters.name(order_title(invoice.order))
    said = {"name": invoice.name, "product": product, "amount": invoice.total}
    if invoice.kind == InvoiceKind.INVOICE:
        sentence = _("Attached is your invoice %(name)s for %(product)s. It is paid.")
        subject = _("Invoice %(name)s: %(amount)s")
    elif invoice.kind == InvoiceKind.CREDIT_NOTE:
        sentence = _("Attached is credit note %(name)s for what went back of %(product)s.")
        subject = _("Credit note %(name)s: %(amount)s")
    else:
        sentence = _(
            "Attached is %(name)s. It takes back a credit note for %(product)s, because the money"
            " did not go back after all."
        )
        subject = _("Correction %(name)s: %(amount)s")
    facts = [(_("Number"), invoice.name), (_("For"), product), (_("Total"), str(invoice.total))]
    if invoice.corrects is not None:
        facts.append((_("Corrects"), invoice.corrects.name))
    return Letter(
        subject=subject % said,
        title=str(InvoiceKind(invoice.kind).label),
        figure=str(invoice.total),
        body=[sentence % said],
        facts=facts,
        button=Button(_("View invoices"), link("billing:invoices")),
        attachments=attachments,
    )


def refund_made(refund: Refund) -> Letter:
    """Money went back."""
    payment = refund.payment
    product = _product(payment)
    if payment.unit == CREDIT:
        arrives = _("The credits are in your wallet again.")
    else:
        arrives = _(
            "It goes back the way you paid. Depending on your bank it takes up to ten days until"
            " you see it."
        )
    facts = [(_("For"), product)] if product else []
    if payment.customer is not None and refund.closed_at is not None:
        facts.append((_("Refunded on"), day(refund.closed_at, payment.customer)))
    return Letter(
        subject=_("Your refund of %(amount)s") % {"amount": refund.amount},
        title=_("Refund made"),
        figure=str(refund.amount),
        body=[
            _("We have refunded %(amount)s to you. %(arrives)s")
            % {"amount": refund.amount, "arrives": arrives}
        ],
        facts=[*facts, (_("Paid then"), str(payment.amount))],
        button=_receipt_button(payment),
    )


def dispute_opened(dispute: Dispute) -> Letter:
    """The payer's bank wants a payment back."""
    payment = dispute.payment
    product = _product(payment)
    return Letter(
        subject=_("Your bank disputes a payment of %(amount)s") % {"amount": dispute.amount},
        title=_("A payment is disputed"),
        figure=str(dispute.amount),
        body=[
            _(
                "The bank of whoever paid has told us that this payment is disputed. Until that is"
                " decided, what it bought is on hold."
            ),
            _("If this is a mistake, ask the bank to withdraw the dispute; it ends at once then."),
        ],
        facts=[(_("For"), product)] if product else [],
        button=_receipt_button(payment),
    )


def attached(invoice: Invoice) -> Attachment:
    """An issued document as a file."""
    return Attachment(f"{invoice.name}.pdf", invoice_pdf.render(invoice), "application/pdf")


def _receipt_of_unapplied(payment: Payment, order: Order | None, invoice: Invoice | None) -> Letter:
    """Money that fitted nothing that was ordered."""
    if order is None:
        became = _("It fits none of your orders, so we keep it for you and look into it.")
    else:
        became = _("It fitted none of your orders, so it became %(credits)s.") % {
            "credits": Money(order.snapshot.get("credits_minor", 0), CREDIT)
        }
    return Letter(
        subject=_("We received %(amount)s") % {"amount": payment.amount},
        title=_("Payment received"),
        figure=str(payment.amount),
        body=[_("Thank you. Your payment has arrived. %(became)s") % {"became": became}],
        facts=_payment_facts(payment, order, invoice),
        button=_receipt_button(payment),
        notes=_invoice_notes(invoice),
        attachments=_attachments(invoice),
    )


def _payment_facts(
    payment: Payment, order: Order | None, invoice: Invoice | None
) -> list[tuple[str, str]]:
    return [*_what(payment, order), *_how(payment), *_number(invoice)]


def _what(payment: Payment, order: Order | None) -> Iterator[tuple[str, str]]:
    if order is None:
        return
    yield _("For"), letters.name(order_title(order))
    credits_minor = order.snapshot.get("credits_minor")
    if credits_minor:
        yield _("Credits"), str(Money(credits_minor, CREDIT))
    if order.discount_minor or payment.tax_minor:
        yield _("Price"), str(order.subtotal)
    if order.discount_minor:
        yield _("Discount"), str(Money(-order.discount_minor, order.unit))
    if payment.tax_minor:
        yield _("Tax"), str(Money(payment.tax_minor, payment.unit))
        yield _("Total"), str(payment.amount)


def _how(payment: Payment) -> Iterator[tuple[str, str]]:
    if payment.customer is not None:
        yield _("Paid on"), day(payment.occurred_at, payment.customer)
    titles = {rail.name: rail.title for rail in rails.available()}
    if payment.rail in titles:
        yield _("Paid with"), str(titles[payment.rail])


def _number(invoice: Invoice | None) -> Iterator[tuple[str, str]]:
    if invoice is not None:
        yield _("Invoice"), invoice.name


def _receipt_button(payment: Payment) -> Button:
    return Button(_("View receipt"), link("billing:receipt", payment.pk))


def _invoice_notes(invoice: Invoice | None) -> list[str]:
    if invoice is None:
        return []
    return [_("Your invoice %(name)s is attached.") % {"name": invoice.name}]


def _attachments(invoice: Invoice | None) -> list[Attachment]:
    # A preview has no row to make a file of.
    is_stored = invoice is not None and not invoice._state.adding
    return [attached(invoice)] if invoice is not None and is_stored else []


def _product(payment: Payment) -> str:
    return letters.name(order_title(payment.order)) if payment.order is not None else ""


def _payment(email: Email) -> Payment:
    return Payment.objects.select_related("customer", "order").get(pk=email.context["payment"])


def _gets_an_invoice(payment: Payment) -> bool:
    return payment.order_id is not None and payment.asset != CREDIT.code


def _came_with_receipt(invoice: Invoice) -> bool:
    """Whether a receipt waits to take it along, or has."""
    payment = invoice.payment_id
    keys = [f"{kind}:{payment}" for kind in emails.BRING_INVOICES]
    waiting = Email.objects.filter(key__in=keys, state=EmailState.WAITING)
    took = Email.objects.filter(key__in=keys, context__attached=invoice.name)
    return waiting.exists() or took.exists()
