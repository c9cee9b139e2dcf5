"""Indexes for the figures of the staff home."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0007_invoices_taken_back"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["occurred_at"], name="payment_by_time"),
        ),
        migrations.AddIndex(
            model_name="refund",
            index=models.Index(
                condition=models.Q(("booked_at__isnull", False)),
                fields=["booked_at"],
                name="refund_booked",
            ),
        ),
        migrations.AddIndex(
            model_name="transfer",
            index=BrinIndex(
                autosummarize=True,
                fields=["occurred_at"],
                name="transfer_by_day",
                pages_per_range=32,
            ),
        ),
    ]
