"""The outbox: e-mails that are to be sent, each once per cause."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from common import ids


class EmailKind(models.TextChoices):
    """What an e-mail tells; the labels are what customers choose from."""

    RECEIPT = "receipt", _("Receipts")
    INVOICE = "invoice", _("Invoices and credit notes as PDF")
    REFUND_MADE = "refund_made", _("Refunds")
    DISPUTE_OPENED = "dispute_opened", _("Payments disputed at the bank")
    PAYMENT_FAILED = "payment_failed", _("Payments that failed")
    SUBSCRIPTION_SUSPENDED = "subscription_suspended", _("Subscription suspended")
    SUBSCRIPTION_ENDED = "subscription_ended", _("Subscription ended")
    RENEWAL_SOON = "renewal_soon", _("Reminders before a renewal")
    TRIAL_ENDING = "trial_ending", _("Reminders before a trial ends")
    PLAN_EXPIRES_SOON = "plan_expires_soon", _("Reminders before a plan expires")
    CREDITS_EXPIRE_SOON = "credits_expire_soon", _("Reminders before credits expire")
    SPEND_CAP_REACHED = "spend_cap_reached", _("Spend cap reached")
    AUTO_TOP_UP_CHARGED = "auto_top_up_charged", _("Auto top-up charged")
    AUTO_TOP_UP_FAILED = "auto_top_up_failed", _("Auto top-up failed")
    AUTO_TOP_UP_STOPPED = "auto_top_up_stopped", _("Auto top-up switched off")
    API_KEY_CREATED = "api_key_created", _("New API keys")
    STAFF_ADJUSTMENT = "staff_adjustment", _("Credits changed by our staff")
    INVITATION = "invitation", _("Invitations to a team")


class EmailState(models.TextChoices):
    """Where an e-mail stands."""

    WAITING = "waiting", "to be sent"
    SENT = "sent", "sent"
    # Muted by the customer, or no longer true when its turn came; ``last_error`` says which.
    DROPPED = "dropped", "not needed"
    FAILED = "failed", "given up"


class Email(models.Model):
    """One e-mail, written in the transaction of what it tells of and sent after it.

    It holds what it is about, not its text: that is written when it is sent, from what is so then.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    # Names the cause, e.g. receipt:<payment>: the same cause makes one e-mail.
    key = models.CharField(max_length=200, unique=True)
    # An EmailKind; not the column's choices, so that a new kind needs no migration.
    kind = models.CharField(max_length=40)
    customer = models.ForeignKey("accounts.Customer", models.CASCADE, related_name="emails")
    # Empty: the customer's billing address and language when it is sent.
    to_address = models.EmailField("to", max_length=254, blank=True)
    language = models.CharField(max_length=8, blank=True)
    context: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    state = models.CharField(max_length=7, choices=EmailState, default=EmailState.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    # A worker that takes it moves this past its lease; null when nothing is to be done any more.
    next_try_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    # Where it went, and under which subject, for those who ask.
    sent_to = models.EmailField(max_length=254, blank=True)
    subject = models.CharField(max_length=250, blank=True)

    class Meta:
        default_permissions = ("view",)
        verbose_name = "e-mail"
        constraints = [
            models.CheckConstraint(
                condition=Q(state="waiting", next_try_at__isnull=False)
                | (~Q(state="waiting") & Q(next_try_at=None)),
                name="waiting_email_says_when",
            ),
            models.CheckConstraint(
                condition=~Q(state="sent") | Q(sent_at__isnull=False), name="sent_email_says_when"
            ),
        ]
        indexes = [
            models.Index(fields=["next_try_at"], name="email_due", condition=Q(state="waiting")),
            models.Index(fields=["customer", "-id"], name="email_by_customer"),
            models.Index(fields=["state", "-id"], name="email_by_state"),
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def kind_label(self) -> str:
        """What it tells, in words; kinds that are no more as they were called."""
        return str(EmailKind(self.kind).label) if self.kind in EmailKind.values else self.kind
