"""Reconciliation: what a look into a provider's own books found, and what became of it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from common import ids


class RunOutcome(models.TextChoices):
    """How a run ended, or that it has not."""

    WAITING = "waiting", "waiting to begin"
    RUNNING = "running", "running"
    CLEAN = "clean", "nothing differs"
    DIFFERENCES = "differences", "differences found"
    UNREACHABLE = "unreachable", "provider not reachable"
    FAILED = "failed", "broken off"


class ReconciliationRun(models.Model):
    """One comparison of a rail's books with its provider's, over a stretch of time."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    rail = models.CharField(max_length=16)
    since = models.DateTimeField()
    until = models.DateTimeField()
    # Whether what a lost message should have done is done, or everything is only named.
    repairs = models.BooleanField(default=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    outcome = models.CharField(max_length=11, choices=RunOutcome, default=RunOutcome.WAITING)
    asked_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Things of the provider and of ours that were looked at.
    compared_count = models.PositiveBigIntegerField(default=0)
    found_count = models.PositiveIntegerField(default=0)
    repaired_count = models.PositiveIntegerField(default=0)
    # Items that still wait for somebody; goes down as they are repaired later.
    left_count = models.PositiveIntegerField(default=0)
    # Why it was broken off.
    note = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view",)
        permissions = [("reconcile", "Can run reconciliations and repair what they find")]
        constraints = [
            models.CheckConstraint(
                condition=Q(since__lt=models.F("until")), name="reconciled_time_goes_forward"
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["waiting", "running"]) | Q(finished_at__isnull=False),
                name="reconciliation_that_ended_says_when",
            ),
        ]
        indexes = [
            models.Index(
                fields=["asked_at"],
                name="reconciliation_unfinished",
                condition=Q(outcome__in=["waiting", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rail} {self.since:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M} UTC"

    @property
    def is_over(self) -> bool:
        """Whether it has ended, one way or another."""
        return self.outcome not in (RunOutcome.WAITING, RunOutcome.RUNNING)


class ItemState(models.TextChoices):
    """What became of a difference."""

    FOUND = "found", "named only"
    LEFT = "left", "waits for somebody"
    REPAIRED = "repaired", "repaired"
    GONE = "gone", "nothing left to do here"


# States in which a difference still is one.
OPEN = (ItemState.FOUND, ItemState.LEFT)


class ReconciliationItem(models.Model):
    """One thing in which our books and the provider's differed, named once per run."""

    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    run = models.ForeignKey(ReconciliationRun, models.PROTECT, related_name="items")
    # What it is about, then what is wrong with it: payment_missing, refund_amount_differs.
    kind = models.CharField(max_length=40)
    # The provider's id, or ours where the provider has none.
    subject = models.CharField(max_length=128)
    detail = models.TextField()
    ours = models.CharField(max_length=200, blank=True)
    theirs = models.CharField(max_length=200, blank=True)
    # Whether repair does no more than a lost message should have done.
    is_safe = models.BooleanField()
    # What repair will do; empty when it can only be put right elsewhere.
    remedy = models.TextField(blank=True)
    # What a person should do or look at, at the provider or here.
    advice = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=ItemState, default=ItemState.FOUND)
    found_at = models.DateTimeField(db_default=Now())
    repaired_at = models.DateTimeField(null=True)
    # How it was repaired, or why not.
    note = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["run", "kind", "subject"], name="difference_is_named_once_a_run"
            ),
            models.CheckConstraint(
                condition=Q(state="repaired", repaired_at__isnull=False)
                | (~Q(state="repaired") & Q(repaired_at=None)),
                name="repaired_difference_says_when",
            ),
        ]
        indexes = [
            models.Index(
                fields=["kind", "subject"],
                name="difference_open",
                condition=Q(state__in=["found", "left"]),
            ),
            models.Index(fields=["subject"], name="difference_by_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.title} {self.subject}"

    @property
    def title(self) -> str:
        """The kind as people say it."""
        return self.kind.replace("_", " ")

    @property
    def is_open(self) -> bool:
        """Whether it still differs, as far as we know."""
        return self.state in OPEN

    @property
    def is_repairable(self) -> bool:
        """Whether there is something that repair could do here."""
        return self.is_open and bool(self.remedy)
