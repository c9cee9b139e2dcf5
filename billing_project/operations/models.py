"""What the portal remembers of its own health."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Reading(models.Model):
    """The last reading of something that is looked at again and again: when, and what it was.

    Stamped by the database: it is about processes, whose time no sandbox moves.
    """

    name = models.CharField(max_length=64, primary_key=True)
    value = models.BigIntegerField(default=0)
    read_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


class Alert(models.Model):
    """Something that is wrong, from when it was noticed until it was not there any more.

    Each channel is told once that it began and once that it is over; a channel that could not be
    reached is told later.
    """

    name = models.CharField(max_length=64)
    detail = models.TextField()
    began_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    told_begin = ArrayField(models.CharField(max_length=16), default=list)
    told_end = ArrayField(models.CharField(max_length=16), default=list)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                name="one_alert_at_a_time",
                condition=Q(ended_at=None),
            ),
        ]
        indexes = [models.Index(fields=["began_at"], name="alert_by_begin")]

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"
