"""E-mails that are to be sent, once each."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import common.ids


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_languages"),
        ("billing", "0004_invoices"),
    ]

    operations = [
        migrations.CreateModel(
            name="Email",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=200, unique=True)),
                ("kind", models.CharField(max_length=40)),
                (
                    "to_address",
                    models.EmailField(blank=True, max_length=254, verbose_name="to"),
                ),
                ("language", models.CharField(blank=True, max_length=8)),
                ("context", models.JSONField(default=dict)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "to be sent"),
                            ("sent", "sent"),
                            ("dropped", "not needed"),
                            ("failed", "given up"),
                        ],
                        default="waiting",
                        max_length=7,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("next_try_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(blank=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                ("sent_at", models.DateTimeField(null=True)),
                ("sent_to", models.EmailField(blank=True, max_length=254)),
                ("subject", models.CharField(blank=True, max_length=250)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="emails",
                        to="accounts.customer",
                    ),
                ),
            ],
            options={
                "verbose_name": "e-mail",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("state", "waiting")),
                        fields=["next_try_at"],
                        name="email_due",
                    ),
                    models.Index(fields=["customer", "-id"], name="email_by_customer"),
                    models.Index(fields=["state", "-id"], name="email_by_state"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("next_try_at__isnull", False), ("state", "waiting")),
                            models.Q(
                                models.Q(("state", "waiting"), _negated=True),
                                ("next_try_at", None),
                            ),
                            _connector="OR",
                        ),
                        name="waiting_email_says_when",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "sent"), _negated=True),
                            ("sent_at__isnull", False),
                            _connector="OR",
                        ),
                        name="sent_email_says_when",
                    ),
                ],
            },
        ),
    ]
