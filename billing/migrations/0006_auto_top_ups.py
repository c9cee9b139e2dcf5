"""Buying credits by itself when they run low."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0005_emails"),
    ]

    operations = []
