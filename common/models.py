"""The answers that the API has already given, by idempotency key."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from common import ids


class IdempotencyKey(models.Model):
    """One POST that a caller may repeat: claimed before its work, answered after it.

    A row without an answer is in flight until ``lease_until``; past that moment whoever worked on
    it has crashed, and the next caller with the same request takes over.
    """

    # Names the act for whoever works on it (``Claim.cause``): the same through every attempt.
    id = models.UUIDField(primary_key=True, default=ids.uuid7, editable=False)
    # Whose key it is: the customer's id, or the user's where there is no customer.
    owner_id = models.UUIDField()
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=2048)
    # SHA-256 of method, full path and body, as hex.
    fingerprint = models.CharField(max_length=64)
    # Changes with every attempt, so that a slow attempt cannot answer for the one that took over.
    attempt_id = models.UUIDField()
    lease_until = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    body = models.BinaryField(default=bytes, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner_id", "key"], name="idempotency_key_once_per_owner"
            ),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, status__isnull=True)
                | Q(answered_at__isnull=False, status__isnull=False, status__lt=500),
                name="idempotency_key_final_answer_only",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.key}"
