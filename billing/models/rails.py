"""What rails remember of their own: who a customer is to them."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RailCustomer(models.Model):
    """A customer's id at a provider, e.g. Stripe's ``cus_…``; one each way per rail."""

    rail = models.CharField(max_length=16)
    customer = models.ForeignKey("accounts.Customer", models.PROTECT, related_name="rail_customers")
    external_id = models.CharField(max_length=128)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["rail", "customer"], name="one_rail_id_per_customer"),
            models.UniqueConstraint(
                fields=["rail", "external_id"], name="one_customer_per_rail_id"
            ),
        ]

    def __str__(self) -> str:
        return self.external_id
