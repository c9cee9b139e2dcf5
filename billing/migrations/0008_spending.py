"""Spend caps: what their owner is told."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0007_invoices_taken_back"),
    ]

    operations = []
