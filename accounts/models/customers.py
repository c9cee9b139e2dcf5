"""The party that is billed, and who may act for it."""

from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.roles import Act, may
from common import clock, ids


def validate_time_zone(name: str) -> None:
    """Refuse what is not a name of the IANA time zone database."""
    if name not in available_timezones():
        raise ValidationError(_("Not a time zone: %(name)s"), params={"name": name})


class Customer(models.Model):
    """The party that is billed: a person, or a team with members.

    Everything of value belongs to a customer. Whether and under what id a payment provider knows
    it is the business of that provider's rail.
    """

    class Kind(models.TextChoices):
        PERSON = "person", "Person"
        TEAM = "team", "Team"

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.PERSON)
    name = models.CharField(max_length=150, blank=True)
    # Where receipts go; not a log-in, so two customers may share one.
    email = models.EmailField("billing e-mail", max_length=254)
    country = models.CharField(
        max_length=2,
        blank=True,
        validators=[RegexValidator(r"^[A-Z]{2}$", _("Two capital letters, as in ISO 3166."))],
    )
    # What invoices name beside it: where it is, and its number at the tax office.
    address = models.TextField(max_length=500, blank=True)
    tax_id = models.CharField("tax number", max_length=40, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    # The language of e-mails and invoices.
    language = models.CharField(max_length=8, default="en", choices=settings.LANGUAGES)
    # Kinds of e-mails that are not wanted; what must be sent is sent all the same.
    muted_emails = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    # Months of limits and caps are counted from here (free plan: from sign-up).
    anchor_at = models.DateTimeField(default=clock.now)
    # May usage that already happened be invoiced later instead of becoming a debt that blocks?
    allowed_to_owe = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    # Nobody acts for it any more; after a while what names people is taken out.
    closed_at = models.DateTimeField(null=True, blank=True, editable=False)

    members = models.ManyToManyField(
        settings.AUTH_USER_MODEL, through="accounts.Membership", related_name="customers"
    )

    class Meta:
        indexes = [models.Index(fields=["email"], name="customer_by_email")]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["person", "team"]), name="customer_is_person_or_team"
            ),
            models.CheckConstraint(
                condition=Q(country="") | Q(country__regex=r"^[A-Z]{2}$"),
                name="customer_country_is_iso_code",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which this customer's days and months are counted."""
        return ZoneInfo(self.time_zone)


class Membership(models.Model):
    """A user may act for a customer, as far as the role goes."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        BILLING = "billing", _("Billing")
        MEMBER = "member", _("Member")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=8, choices=Role, default=Role.MEMBER)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "customer"], name="membership_once_per_customer"
            ),
            models.CheckConstraint(
                condition=Q(role__in=["owner", "billing", "member"]), name="membership_role_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.customer} · {self.get_role_display()}"

    @property
    def may_pay(self) -> bool:
        """Owners and billing members may spend the customer's money; members only look."""
        return self.may(Act.PAY)

    @property
    def may_keys(self) -> bool:
        """Whether this member makes and revokes API keys."""
        return self.may(Act.KEYS)

    @property
    def may_details(self) -> bool:
        """Whether this member changes what invoices say."""
        return self.may(Act.DETAILS)

    @property
    def may_team(self) -> bool:
        """Whether this member decides who else is one."""
        return self.may(Act.TEAM)

    def may(self, act: Act) -> bool:
        """Whether the role allows it (``accounts.roles`` has the table)."""
        return may(self.role, act)
