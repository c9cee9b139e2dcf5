"""From what happened to the e-mails that tell of it; billing's notifier."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from accounts.models import ApiKey, Customer
from billing import catalogue
from billing.models import (
    Dispute,
    Email,
    EmailKind,
    EmailState,
    Invoice,
    Payment,
    Refund,
    Subscription,
)
from billing.services import emails
from billing.services.adjustments import Adjusted
from common import clock, doorbell, notifiers
from common.notifiers import LETTER, Letter


def tell(what: str, subject: Any) -> None:
    """Queue the e-mails of what happened, in its transaction; what has none is passed over."""
    act = _NEWS.get(what)
    if act is not None:
        act(subject)


def _asked_for(letter: Letter) -> None:
    emails.queue(
        kind=EmailKind(letter.kind),
        customer=letter.customer,
        key=letter.key,
        context=letter.context,
        to=letter.to,
        language=letter.language,
    )


def _paid(payment: Payment) -> None:
    if payment.customer is not None:
        _of_row(EmailKind.RECEIPT, payment.customer, "payment", payment)


def _refunded(refund: Refund) -> None:
    if refund.payment.customer is not None:
        _of_row(EmailKind.REFUND_MADE, refund.payment.customer, "refund", refund)


def _disputed(dispute: Dispute) -> None:
    if dispute.payment.customer is not None:
        _of_row(EmailKind.DISPUTE_OPENED, dispute.payment.customer, "dispute", dispute)


def _key_made(api_key: ApiKey) -> None:
    _of_row(EmailKind.API_KEY_CREATED, api_key.customer, "api_key", api_key)


def _issued(invoice: Invoice) -> None:
    """A document has its number: the receipt that waited for it goes now, or an e-mail of its own.

    The receipt is asked when that is sent, see ``letters_payments``.
    """
    _of_row(EmailKind.INVOICE, invoice.customer, "invoice", invoice)
    keys = [f"{kind}:{invoice.payment_id}" for kind in emails.BRING_INVOICES]
    waiting = Email.objects.filter(key__in=keys, state=EmailState.WAITING)
    # One that is being sent at this moment is under its lease and says nothing of waiting.
    for email in waiting.filter(last_error=emails.WAITS_FOR_INVOICE):
        Email.objects.filter(pk=email.pk).update(next_try_at=clock.now())
        doorbell.ring(emails.SEND_TASK, str(email.pk))


def _adjusted(adjusted: Adjusted) -> None:
    emails.queue(
        kind=EmailKind.STAFF_ADJUSTMENT,
        customer=adjusted.customer,
        key=f"{EmailKind.STAFF_ADJUSTMENT}:{adjusted.action.pk}",
        context={
            "action": str(adjusted.action.pk),
            "amount_minor": str(adjusted.amount.amount_minor),
            "asset": adjusted.amount.asset.code,
        },
    )


def _renewal_failed(subscription: Subscription) -> None:
    """At once; where a reminder of the same day is set, that is this one."""
    first = 1 if min(catalogue.current().dunning_remind_days, default=1) == 0 else 0
    _unpaid(subscription, first)


def _reminded(subscription: Subscription) -> None:
    _unpaid(subscription, subscription.reminders)


def _unpaid(subscription: Subscription, number: int) -> None:
    _of_subscription(
        EmailKind.PAYMENT_FAILED, subscription, subscription.past_due_since, f":{number}"
    )


def _suspended(subscription: Subscription) -> None:
    _of_subscription(EmailKind.SUBSCRIPTION_SUSPENDED, subscription, subscription.past_due_since)


def _ended(subscription: Subscription) -> None:
    _of_subscription(EmailKind.SUBSCRIPTION_ENDED, subscription, subscription.ended_at)


def _of_subscription(
    kind: EmailKind, subscription: Subscription, since: datetime | None, number: str = ""
) -> None:
    stamp = f"{since or clock.now():%Y%m%dT%H%M%S}"
    emails.queue(
        kind=kind,
        customer=subscription.customer_id,
        key=f"{kind}:{subscription.pk}:{stamp}{number}",
        context={"subscription": str(subscription.pk)},
    )


def _of_row(kind: EmailKind, customer: Customer, name: str, row: Any) -> None:
    emails.queue(kind=kind, customer=customer, key=f"{kind}:{row.pk}", context={name: str(row.pk)})


_NEWS: dict[str, Callable[[Any], None]] = {
    LETTER: _asked_for,
    "payment_settled": _paid,
    "refund_succeeded": _refunded,
    "dispute_open": _disputed,
    "invoice_issued": _issued,
    "credits_adjusted": _adjusted,
    "api_key_created": _key_made,
    "subscription_past_due": _renewal_failed,
    "subscription_payment_failed": _reminded,
    "subscription_suspended": _suspended,
    "subscription_ended": _ended,
}

notifiers.register("e-mail", tell)
