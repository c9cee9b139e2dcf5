"""Invitations to a team."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_languages"),
    ]

    operations = []
