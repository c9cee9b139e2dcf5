"""Credit notes whose refund failed, or whose dispute was won."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0006_auto_top_ups"),
    ]

    operations = []
