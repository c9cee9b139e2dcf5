"""Auto top-up: buying credits by itself when they run low, and the consent that it rests on."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from billing.models.ledger import LedgerAccount
from billing.models.orders import Order
from billing.money import CREDIT, USD, Money
from common import clock, ids


class AutoTopUpState(models.TextChoices):
    """Whether it may charge. It waits for a card after its owner agreed and before one is saved."""

    OFF = "off", _("Off")
    WAITING = "waiting", _("Waiting for a card")
    ON = "on", _("On")


class AutoTopUpStop(models.TextChoices):
    """Why it is off, if it was on."""

    BY_OWNER = "by_owner", _("You switched it off.")
    DECLINED = "declined", _("The card was declined too often.")
    NO_CARD = "no_card", _("There is no saved card any more.")
    DISPUTED = "disputed", _("A payment is disputed at the bank.")
    REFUNDED = "refunded", _("Credits were refunded; they would have been bought again.")
    PRICE_CHANGED = "price_changed", _("The package is not sold at the agreed price any more.")
    NOT_OFFERED = "not_offered", _("Saved cards cannot be charged here at the moment.")
    CLOSED = "closed", _("The account was closed.")


class AutoTopUpConsent(models.Model):
    """What a person agreed to, in which words and when. Rows are kept and never changed."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    customer = models.ForeignKey(
        "accounts.Customer", models.PROTECT, related_name="auto_top_up_consents"
    )
    agreed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    # As it was then: a consent outlives the account of who gave it.
    agreed_by_email = models.EmailField(max_length=254)
    agreed_at = models.DateTimeField()
    text = models.TextField()
    threshold_minor = models.BigIntegerField()
    package = models.CharField(max_length=64, blank=True)
    price_minor = models.BigIntegerField()
    monthly_max_minor = models.BigIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        verbose_name = "auto top-up consent"
        constraints = [
            models.CheckConstraint(
                condition=~Q(text="") & ~Q(agreed_by_email=""),
                name="consent_says_who_agreed_to_what",
            ),
        ]
        indexes = [models.Index(fields=["customer", "-id"], name="consent_by_customer")]

    def __str__(self) -> str:
        return f"{self.agreed_by_email} at {self.agreed_at:%Y-%m-%d}"


class AutoTopUp(models.Model):
    """One customer's auto top-up: its terms today, which never exceed what was agreed to."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    customer = models.OneToOneField("accounts.Customer", models.PROTECT, related_name="auto_top_up")
    # The customer's credits, so that one join tells who runs low.
    wallet = models.ForeignKey(LedgerAccount, models.PROTECT, related_name="+")
    state = models.CharField(max_length=7, choices=AutoTopUpState, default=AutoTopUpState.OFF)
    # Credits: it buys when less than this can be spent.
    threshold_minor = models.BigIntegerField()
    # What it buys: a package of the catalogue, or (empty) credits for the amount.
    package = models.CharField(max_length=64, blank=True)
    # Cents.
    price_minor = models.BigIntegerField()
    monthly_max_minor = models.BigIntegerField()
    consent = models.ForeignKey(AutoTopUpConsent, models.PROTECT, null=True, related_name="+")
    # What people call the saved card: Visa •••• 4242.
    card = models.CharField(max_length=60, blank=True)
    declines = models.PositiveSmallIntegerField(default=0)
    # Nothing is charged before this: after a decline, or when the month's maximum is reached.
    next_look_at = models.DateTimeField(default=clock.now)
    # An AutoTopUpStop; not the column's choices, so that other words need no migration.
    stop_reason = models.CharField(max_length=20, blank=True)
    stopped_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        verbose_name = "auto top-up"
        constraints = [
            models.CheckConstraint(
                condition=Q(state="off") | Q(consent__isnull=False),
                name="auto_top_up_was_agreed_to",
            ),
            models.CheckConstraint(
                condition=Q(
                    threshold_minor__gt=0,
                    price_minor__gt=0,
                    monthly_max_minor__gte=F("price_minor"),
                ),
                name="auto_top_up_amounts_make_sense",
            ),
            models.CheckConstraint(
                condition=Q(stop_reason="") | Q(state="off", stopped_at__isnull=False),
                name="stopped_auto_top_up_is_off",
            ),
        ]
        indexes = [
            models.Index(fields=["next_look_at"], name="auto_top_up_on", condition=Q(state="on")),
        ]

    def __str__(self) -> str:
        return f"{self.price} below {self.threshold} ({self.state})"

    @property
    def is_on(self) -> bool:
        """Whether it may charge."""
        return self.state == AutoTopUpState.ON

    @property
    def threshold(self) -> Money:
        """It buys when less than this can be spent."""
        return Money(self.threshold_minor, CREDIT)

    @property
    def price(self) -> Money:
        """What one charge takes."""
        return Money(self.price_minor, USD)

    @property
    def monthly_max(self) -> Money:
        """What all charges of a month of the customer's anchor take at most."""
        return Money(self.monthly_max_minor, USD)


class ChargeState(models.TextChoices):
    """Where one charge stands."""

    PENDING = "pending", _("Under way")
    PAID = "paid", _("Paid")
    DECLINED = "declined", _("Declined")
    CANCELLED = "cancelled", _("Not charged")


class AutoTopUpCharge(models.Model):
    """One charge to the saved card: written first, then asked for under its order's key."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    auto_top_up = models.ForeignKey(AutoTopUp, models.PROTECT, related_name="charges")
    consent = models.ForeignKey(AutoTopUpConsent, models.PROTECT, related_name="charges")
    order = models.OneToOneField(Order, models.PROTECT, related_name="auto_top_up_charge")
    state = models.CharField(max_length=9, choices=ChargeState, default=ChargeState.PENDING)
    # By our clock: months are counted by it.
    requested_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    # The rail's own name for it.
    external_id = models.CharField(max_length=128, blank=True)
    decline_code = models.CharField(max_length=60, blank=True)
    decline_message = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    first_tried_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view",)
        verbose_name = "auto top-up charge"
        constraints = [
            models.UniqueConstraint(
                fields=["auto_top_up"],
                condition=Q(state="pending"),
                name="one_auto_top_up_charge_in_flight",
            ),
            models.CheckConstraint(
                condition=Q(state="pending", closed_at=None, next_attempt_at__isnull=False)
                | (~Q(state="pending") & Q(closed_at__isnull=False, next_attempt_at=None)),
                name="pending_charge_says_when",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="auto_top_up_charge_due",
                condition=Q(state="pending"),
            ),
            models.Index(fields=["auto_top_up", "-requested_at"], name="charge_by_auto_top_up"),
        ]

    def __str__(self) -> str:
        return f"{self.order_id} ({self.state})"
