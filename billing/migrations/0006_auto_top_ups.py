"""Buying credits by itself when they run low."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import common.clock
import common.ids


def _id() -> models.UUIDField[Any, Any]:
    return models.UUIDField(
        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
    )


def _to(model: str, **more: Any) -> models.ForeignKey[Any, Any]:
    return models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=model, **more)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_languages"),
        ("billing", "0005_emails"),
    ]

    operations = [
        migrations.CreateModel(
            name="AutoTopUpConsent",
            fields=[
                ("id", _id()),
                ("agreed_by_email", models.EmailField(max_length=254)),
                ("agreed_at", models.DateTimeField()),
                ("text", models.TextField()),
                ("threshold_minor", models.BigIntegerField()),
                ("package", models.CharField(blank=True, max_length=64)),
                ("price_minor", models.BigIntegerField()),
                ("monthly_max_minor", models.BigIntegerField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "agreed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("customer", _to("accounts.customer", related_name="auto_top_up_consents")),
            ],
            options={
                "verbose_name": "auto top-up consent",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["customer", "-id"], name="consent_by_customer"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=~models.Q(text="") & ~models.Q(agreed_by_email=""),
                        name="consent_says_who_agreed_to_what",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AutoTopUp",
            fields=[
                ("id", _id()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("off", "Off"),
                            ("waiting", "Waiting for a card"),
                            ("on", "On"),
                        ],
                        default="off",
                        max_length=7,
                    ),
                ),
                ("threshold_minor", models.BigIntegerField()),
                ("package", models.CharField(blank=True, max_length=64)),
                ("price_minor", models.BigIntegerField()),
                ("monthly_max_minor", models.BigIntegerField()),
                ("card", models.CharField(blank=True, max_length=60)),
                ("declines", models.PositiveSmallIntegerField(default=0)),
                ("next_look_at", models.DateTimeField(default=common.clock.now)),
                ("stop_reason", models.CharField(blank=True, max_length=20)),
                ("stopped_at", models.DateTimeField(null=True)),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "consent",
                    _to("billing.autotopupconsent", null=True, related_name="+"),
                ),
                (
                    "customer",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="auto_top_up",
                        to="accounts.customer",
                    ),
                ),
                ("wallet", _to("billing.ledgeraccount", related_name="+")),
            ],
            options={
                "verbose_name": "auto top-up",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(state="on"),
                        fields=["next_look_at"],
                        name="auto_top_up_on",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(state="off") | models.Q(consent__isnull=False),
                        name="auto_top_up_was_agreed_to",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            threshold_minor__gt=0,
                            price_minor__gt=0,
                            monthly_max_minor__gte=models.F("price_minor"),
                        ),
                        name="auto_top_up_amounts_make_sense",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(stop_reason="")
                        | models.Q(state="off", stopped_at__isnull=False),
                        name="stopped_auto_top_up_is_off",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AutoTopUpCharge",
            fields=[
                ("id", _id()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Under way"),
                            ("paid", "Paid"),
                            ("declined", "Declined"),
                            ("cancelled", "Not charged"),
                        ],
                        default="pending",
                        max_length=9,
                    ),
                ),
                ("requested_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(null=True)),
                ("external_id", models.CharField(blank=True, max_length=128)),
                ("decline_code", models.CharField(blank=True, max_length=60)),
                ("decline_message", models.CharField(blank=True, max_length=300)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("first_tried_at", models.DateTimeField(null=True)),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("last_error", models.TextField(blank=True)),
                ("auto_top_up", _to("billing.autotopup", related_name="charges")),
                ("consent", _to("billing.autotopupconsent", related_name="charges")),
                (
                    "order",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="auto_top_up_charge",
                        to="billing.order",
                    ),
                ),
            ],
            options={
                "verbose_name": "auto top-up charge",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(state="pending"),
                        fields=["next_attempt_at"],
                        name="auto_top_up_charge_due",
                    ),
                    models.Index(
                        fields=["auto_top_up", "-requested_at"], name="charge_by_auto_top_up"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(state="pending"),
                        fields=["auto_top_up"],
                        name="one_auto_top_up_charge_in_flight",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            state="pending", closed_at=None, next_attempt_at__isnull=False
                        )
                        | (
                            ~models.Q(state="pending")
                            & models.Q(closed_at__isnull=False, next_attempt_at=None)
                        ),
                        name="pending_charge_says_when",
                    ),
                ],
            },
        ),
    ]
