"""Indexes for the figures of the staff home."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0008_spending"),
    ]

    operations = []
