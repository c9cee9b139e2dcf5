"""E-mails that are to be sent, once each."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0004_invoices"),
    ]

    operations = []
