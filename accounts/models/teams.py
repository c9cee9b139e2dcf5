"""Teams: who is asked to join, and what was changed by whom."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models.customers import Customer, Membership
from common import clock, ids

LIFETIME = timedelta(days=7)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """What is asked of invitations in more than one place."""

    def pending(self) -> "InvitationQuerySet":
        """Neither accepted nor revoked; perhaps too old."""
        return self.filter(accepted_at=None, revoked_at=None)

    def open(self) -> "InvitationQuerySet":
        """Those that can be accepted now."""
        return self.pending().filter(expires_at__gt=clock.now())


class Invitation(models.Model):
    """Somebody is asked, at one address, to act for a customer in one role.

    The link's token is kept as its SHA-256 only. Sending again makes a new one.
    """

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="invitations")
    # Lower case, like the log-ins it is compared with.
    email = models.EmailField("e-mail address", max_length=254)
    role = models.CharField(max_length=8, choices=Membership.Role)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    sent_at = models.DateTimeField(default=clock.now, editable=False)
    sent_count = models.PositiveSmallIntegerField(default=1, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "email"],
                condition=Q(accepted_at=None, revoked_at=None),
                name="one_pending_invitation_per_address",
            ),
            models.CheckConstraint(
                condition=Q(role__in=["owner", "billing", "member"]), name="invitation_role_known"
            ),
            models.CheckConstraint(
                condition=Q(email=Lower("email")), name="invitation_email_lower_case"
            ),
            models.CheckConstraint(
                condition=Q(token_hash__regex=r"^[0-9a-f]{64}$"),  # noqa: S106 (a pattern)
                name="invitation_stores_hash_only",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at=None) | Q(revoked_at=None),
                name="invitation_is_accepted_or_revoked",
            ),
        ]
        indexes = [models.Index(fields=["email"], name="invitation_by_email")]

    def __str__(self) -> str:
        return f"{self.email} · {self.customer_id}"

    @property
    def is_expired(self) -> bool:
        """Whether its link has become too old."""
        return self.expires_at <= clock.now()


class TeamAct(models.TextChoices):
    """What somebody did to a team; the labels stand before the address it was done to."""

    OPENED = "opened", _("Team opened")
    INVITED = "invited", _("Invited")
    INVITED_AGAIN = "invited_again", _("Invitation sent again")
    INVITATION_REVOKED = "invitation_revoked", _("Invitation revoked")
    JOINED = "joined", _("Joined")
    ROLE_CHANGED = "role_changed", _("Role changed")
    REMOVED = "removed", _("Removed")
    LEFT = "left", pgettext_lazy("a member", "Left")
    EXPORTED = "exported", _("Data exported")
    CLOSED = "closed", _("Account closed")
    REOPENED = "reopened", _("Account reopened")


class TeamEvent(models.Model):
    """One change to who acts for a customer, for its owners to read. Never changed."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="team_events")
    act = models.CharField(max_length=24, choices=TeamAct)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    # Whom it was done to, as an address; empty where it was nobody.
    subject = models.CharField(max_length=254, blank=True)
    # The role it is about.
    role = models.CharField(max_length=8, blank=True, choices=Membership.Role)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["customer", "-id"], name="team_event_by_customer")]

    def __str__(self) -> str:
        return f"{self.act} {self.subject}".strip()
