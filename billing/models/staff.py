"""What staff did to money, and why."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class StaffAction(models.Model):
    """One act of a member of staff, with the reason they gave. Never changed afterwards."""

    # Names this one act, e.g. by a number its form carried: a double click acts once.
    key = models.CharField(max_length=100, unique=True)

    staff = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    # E.g. refund, credit_adjustment, apply_unapplied, handle_again.
    act = models.CharField(max_length=32)
    customer = models.ForeignKey("accounts.Customer", models.PROTECT, null=True, related_name="+")
    # What it was done to, e.g. payment:<id>.
    subject = models.CharField(max_length=100)
    reason = models.CharField(max_length=500)
    detail = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        # What a member of staff may be allowed to do; a superuser may do all of it.
        permissions = [
            ("refund_payment", "Can refund payments"),
            ("adjust_credits", "Can grant credits and take them away"),
            ("apply_unapplied", "Can say whose unapplied money is and turn it into credits"),
            ("handle_event_again", "Can have inbox events handled again"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="staff_action_has_a_reason")
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="staff_action_newest")]

    def __str__(self) -> str:
        return f"{self.act} {self.subject}"
